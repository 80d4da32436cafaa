import { existsSync } from "node:fs";
import { mkdir, readFile, readlink, rm, statfs, symlink } from "node:fs/promises";
import { join } from "node:path";
import { HubApiError, listFiles, modelInfo } from "@huggingface/hub";
import { CheckpointError, CrossblockError, EnvironmentError } from "../../errors.js";
import { fileSystemError } from "../file-system/file-system-error.js";
import { writeFileAtomically } from "../file-system/write-file-atomically.js";
import { isPlainFileName, ModelFolder } from "../model-folder.js";
import { maxIndexLength, parseWeightIndex, singleWeightFile, weightIndexFile } from "../weight-index.js";
import { downloadBlob, networkError, type RemoteFile, refusedByHub } from "./download-blob.js";

export interface DownloadProgress {
  readonly file: string;
  /** Bytes of this download that are there, of `totalBytes` of all its files. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface ResolveModelOptions {
  /** Branch, tag or commit. Default "main". */
  readonly revision?: string;
  /** Default `HF_HUB_CACHE`, `$HF_HOME/hub` or `~/.cache/huggingface/hub`: shared with the Python libraries. */
  readonly cacheFolder?: string;
  /** Default `HF_ENDPOINT` or https://huggingface.co. */
  readonly hubUrl?: string;
  /** For private and gated models; sent to the hub only. Default `HF_TOKEN`. */
  readonly token?: string;
  readonly fetch?: typeof fetch;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** What is downloaded besides the weights; names as transformers writes them. */
const sideFiles: ReadonlySet<string> = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "tokenizer.model",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json",
]);

/**
 * Downloads a model of the hub into its folder of the cache, `storage`, and returns the snapshot's folder.
 * @throws as `resolveModel` does
 */
export async function downloadModel(name: string, storage: string, options: ResolveModelOptions): Promise<string> {
  return await new HubModel(name, storage, options).download();
}

class HubModel {
  readonly #name: string;
  readonly #options: ResolveModelOptions;
  readonly #revision: string;
  readonly #hubUrl: string;
  /** `models--owner--name` in the cache. */
  readonly #storage: string;

  constructor(name: string, storage: string, options: ResolveModelOptions) {
    this.#name = name;
    this.#options = options;
    this.#revision = options.revision ?? "main";
    this.#hubUrl = (options.hubUrl ?? process.env["HF_ENDPOINT"] ?? "https://huggingface.co").replace(/\/+$/, "");
    this.#storage = storage;
  }

  async download(): Promise<string> {
    let listing: Listing;
    try {
      listing = await this.#list();
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!(error instanceof EnvironmentError)) throw error;
      const cached = await this.#cachedSnapshot();
      if (cached === null) throw error;
      return cached;
    }
    const folder = join(this.#storage, "snapshots", listing.commit);
    try {
      await mkdir(folder, { recursive: true });
      await this.#fetchAll(folder, listing);
      if (this.#revision !== listing.commit && isPlainFileName(this.#revision)) {
        await mkdir(join(this.#storage, "refs"), { recursive: true });
        await writeFileAtomically(join(this.#storage, "refs", this.#revision), listing.commit);
      }
    } catch (error) {
      if (error instanceof CrossblockError || this.#options.signal?.aborted) throw error;
      throw fileSystemError(error, "the model can't be stored", folder);
    }
    return folder;
  }

  /** Commit and files of the revision. What the server says is checked: names and hashes become file names here. */
  async #list(): Promise<Listing> {
    const common = { hubUrl: this.#hubUrl, fetch: this.#fetch };
    try {
      const revision = this.#revision;
      const { sha } = await modelInfo({ ...common, name: this.#name, revision, additionalFields: ["sha"] });
      if (!/^[0-9a-f]{40}$/.test(sha)) throw new Error("no commit hash in the answer");
      const files = new Map<string, RemoteFile>();
      for await (const { type, path, size, oid, lfs } of listFiles({ ...common, repo: this.#name, revision: sha })) {
        if (type !== "file" || !isPlainFileName(path)) continue;
        const url = `${this.#hubUrl}/${this.#name}/resolve/${sha}/${encodeURIComponent(path)}`;
        const hash = lfs
          ? ({ algorithm: "sha256", hex: lfs.oid } as const)
          : ({ algorithm: "git-sha1", hex: oid ?? "" } as const);
        const bytes = lfs?.size ?? size;
        if (!/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(hash.hex) || !Number.isSafeInteger(bytes) || bytes < 0) {
          throw new Error(`no size or hash for ${path.slice(0, 80)} in the answer`);
        }
        files.set(path, { url, size: bytes, hash });
      }
      return { commit: sha, files };
    } catch (error) {
      const where = `${this.#hubUrl}/${this.#name}`;
      const local = `there is no folder ${this.#name} here, so the hub was asked`;
      if (error instanceof HubApiError && error.statusCode < 500) throw refusedByHub(where, error.statusCode, local);
      throw networkError(where, error, local);
    }
  }

  async #fetchAll(folder: string, { files }: Listing): Promise<void> {
    const side = [...files.keys()].filter((name) => sideFiles.has(name));
    const single = files.has(singleWeightFile);
    if (!single && !files.has(weightIndexFile)) {
      throw new CheckpointError({
        what: `the model has neither ${singleWeightFile} nor ${weightIndexFile}`,
        where: `${this.#hubUrl}/${this.#name}`,
        next: "choose a model with safetensors weights, or convert it with Python transformers (save_pretrained)",
      });
    }
    const first = single ? side : [...side, weightIndexFile];
    await this.#fetchFiles(folder, first, files);
    const weights = single ? [singleWeightFile] : shardsOf(folder);
    await this.#fetchFiles(folder, weights, files);
  }

  async #fetchFiles(folder: string, names: readonly string[], files: ReadonlyMap<string, RemoteFile>): Promise<void> {
    const remotes = names.map((name) => {
      const remote = files.get(name);
      if (remote !== undefined) return { name, remote, blob: join(this.#storage, "blobs", remote.hash.hex) };
      throw new CheckpointError({
        what: `the index names ${name}, which the model doesn't have`,
        where: `${this.#hubUrl}/${this.#name}`,
        next: "tell the model's author, or choose another revision",
      });
    });
    const totalBytes = remotes.reduce((sum, { remote }) => sum + remote.size, 0);
    const missing = remotes.filter(({ blob }) => !existsSync(blob));
    await this.#checkSpace(
      folder,
      missing.reduce((sum, { remote }) => sum + remote.size, 0),
    );
    let done = 0;
    for (const { name, remote, blob } of remotes) {
      const report = throttled(
        (bytes) => this.#options.onProgress?.({ file: name, bytes: done + bytes, totalBytes }),
        remote.size,
      );
      const { signal } = this.#options;
      await downloadBlob(remote, blob, { fetch: this.#fetch, onBytes: report, ...(signal && { signal }) });
      await link(join("..", "..", "blobs", remote.hash.hex), join(folder, name));
      done += remote.size;
    }
  }

  async #checkSpace(folder: string, needed: number): Promise<void> {
    const { bavail, bsize } = await statfs(folder);
    if (needed <= bavail * bsize) return;
    const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
    throw new EnvironmentError({
      what: `the download takes ${gigabytes(needed)} and ${gigabytes(bavail * bsize)} are free`,
      where: this.#storage,
      next: "free space, or point HF_HUB_CACHE at a larger disk",
    });
  }

  /** The snapshot that the revision named when the hub was last reached, if it is complete. */
  async #cachedSnapshot(): Promise<string | null> {
    try {
      const isCommit = /^[0-9a-f]{40}$/.test(this.#revision);
      const commit = isCommit
        ? this.#revision
        : (await readFile(join(this.#storage, "refs", this.#revision), "utf8")).trim();
      const folder = join(this.#storage, "snapshots", commit);
      const files = ModelFolder.open(folder);
      const weights = files.has(singleWeightFile) ? [singleWeightFile] : shardsOf(folder);
      const complete = weights.length > 0 && [...weights, "config.json"].every((name) => files.has(name));
      return complete ? folder : null;
    } catch {
      return null;
    }
  }

  /** Adds the token, for requests to the hub itself only: pages and files may be elsewhere. */
  readonly #fetch: typeof fetch = async (input, init) => {
    const token = this.#options.token ?? process.env["HF_TOKEN"];
    const request = new Request(input, init);
    if (token && new URL(request.url).origin === new URL(this.#hubUrl).origin) {
      request.headers.set("authorization", `Bearer ${token}`);
    }
    return await (this.#options.fetch ?? fetch)(request, this.#options.signal && { signal: this.#options.signal });
  };
}

interface Listing {
  readonly commit: string;
  readonly files: ReadonlyMap<string, RemoteFile>;
}

function shardsOf(folder: string): string[] {
  const text = ModelFolder.open(folder).readText(weightIndexFile, maxIndexLength);
  return text === null ? [] : [...new Set(parseWeightIndex(text, join(folder, weightIndexFile)).values())].sort();
}

async function link(target: string, path: string): Promise<void> {
  if ((await readlink(path).catch(() => null)) === target) return;
  await rm(path, { force: true });
  await symlink(target, path);
}

/** At most ten calls a second, and one at the end. */
function throttled(report: (bytes: number) => void, size: number): (bytes: number) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (bytes) => {
    const now = performance.now();
    if (bytes < size && now - last < 100) return;
    last = now;
    report(bytes);
  };
}
