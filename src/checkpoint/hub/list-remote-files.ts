import { listFiles, type RepoDesignation } from "@huggingface/hub";
import { isPlainFileName } from "../model-folder.js";
import type { RemoteFile } from "./download-blob.js";

/** A repository of the hub at a commit. */
export interface RepositoryAtCommit {
  readonly hubUrl: string;
  readonly fetch: typeof fetch;
  readonly repo: RepoDesignation;
  /** Commit hash. */
  readonly commit: string;
  /** Whether files in its folders count. */
  readonly recursive: boolean;
  /** Where its pages begin. */
  readonly page: string;
}

/**
 * The files of a repository, by their paths in it. What the server says is checked: names and hashes become file names here.
 *
 * @throws Error for a file without size or hash; whatever the request throws
 */
export async function listRemoteFiles(repository: RepositoryAtCommit): Promise<Map<string, RemoteFile>> {
  const { hubUrl, fetch, repo, commit, recursive, page } = repository;
  const files = new Map<string, RemoteFile>();
  for await (const { type, path, size, oid, lfs } of listFiles({ hubUrl, fetch, repo, revision: commit, recursive })) {
    if (type !== "file" || !path.split("/").every(isPlainFileName)) continue;
    const hash = lfs
      ? ({ algorithm: "sha256", hex: lfs.oid } as const)
      : ({ algorithm: "git-sha1", hex: oid ?? "" } as const);
    const bytes = lfs?.size ?? size;
    if (!/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(hash.hex) || !Number.isSafeInteger(bytes) || bytes < 0) {
      throw new Error(`no size or hash for ${path.slice(0, 80)} in the answer`);
    }
    const url = `${page}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
    files.set(path, { url, size: bytes, hash });
  }
  return files;
}
