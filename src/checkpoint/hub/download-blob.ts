import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout } from "node:timers/promises";
import { CrossblockError, EnvironmentError, type InputError } from "../../errors.js";
import { fileSystemError, isNotFound } from "../file-system/file-system-error.js";

/** A file to download, with the hash that the hub's listing gives for it. */
export interface RemoteFile {
  readonly url: string;
  readonly size: number;
  /** Large files (LFS): SHA-256 of the content. Others: git's SHA-1 of `blob <size>\0` and the content. */
  readonly hash: { readonly algorithm: "sha256" | "git-sha1"; readonly hex: string };
}

export interface DownloadOptions {
  readonly fetch: typeof fetch;
  /** What a refusal (401, 403, 404) and a failure of the network become. */
  readonly refused: (status: number) => InputError;
  readonly failed: (url: string, cause: unknown) => EnvironmentError;
  readonly signal?: AbortSignal;
  /** Called with the bytes that are there now, of `size`. */
  readonly onBytes?: (bytes: number) => void;
}

/** Attempts in a row without a new byte before the download gives up; waits 0.5, 1, 2, ... seconds between them. */
const fruitlessAttempts = 4;

/**
 * Downloads a file to `path`, continuing `path.incomplete` of an earlier attempt, and gives it its name only after size
 * and hash were checked. A connection that breaks is taken up again where it broke.
 * @throws InputError when the hub refuses the file (401, 403, 404)
 * @throws EnvironmentError when the network fails for good, the content doesn't match its hash, or the disk refuses
 */
export async function downloadBlob(remote: RemoteFile, path: string, options: DownloadOptions): Promise<void> {
  if ((await sizeOf(path)) === remote.size) {
    options.onBytes?.(remote.size);
    return;
  }
  const incomplete = `${path}.incomplete`;
  try {
    await mkdir(dirname(path), { recursive: true });
    for (let fruitless = 0; ; ) {
      const before = await sizeOf(incomplete);
      if (before === remote.size) break;
      if (before > remote.size) await rm(incomplete, { force: true });
      const failure = await appendRest(remote, incomplete, options);
      if (failure === null) continue;
      options.signal?.throwIfAborted();
      fruitless = (await sizeOf(incomplete)) > before ? 0 : fruitless + 1;
      if (fruitless === fruitlessAttempts) throw failure;
      await setTimeout(500 * 2 ** fruitless, undefined, options.signal && { signal: options.signal });
    }
    if ((await hashOf(incomplete, remote)) !== remote.hash.hex) {
      await rm(incomplete, { force: true });
      throw new EnvironmentError({
        what: "the downloaded content doesn't match the hash that the hub gives for it",
        where: remote.url,
        why: "it was altered on its way",
        next: "run the same command again; the file is downloaded anew",
      });
    }
    await rename(incomplete, path);
  } catch (error) {
    if (error instanceof CrossblockError || options.signal?.aborted) throw error;
    throw fileSystemError(error, "the download can't be stored", path);
  }
}

/** One request for the bytes that are missing. @returns what went wrong on the network, or null */
async function appendRest(
  remote: RemoteFile,
  path: string,
  options: DownloadOptions,
): Promise<EnvironmentError | null> {
  let start = Math.max(0, await sizeOf(path));
  let response: Response;
  try {
    response = await options.fetch(remote.url, {
      ...(start > 0 && { headers: { range: `bytes=${start}-` } }),
      ...(options.signal && { signal: options.signal }),
    });
  } catch (cause) {
    return options.failed(remote.url, cause);
  }
  if (!response.ok) {
    await response.body?.cancel();
    if (response.status === 416) await rm(path, { force: true });
    if ([401, 403, 404].includes(response.status)) throw options.refused(response.status);
    return options.failed(remote.url, new Error(`HTTP status ${response.status}`));
  }
  // Servers that don't do ranges send everything again.
  if (response.status !== 206) start = 0;
  let file: FileHandle | undefined;
  try {
    file = await open(path, start > 0 ? "a" : "w");
    for await (const chunk of chunksOf(response, (cause) => options.failed(remote.url, cause))) {
      if (chunk instanceof EnvironmentError) return chunk;
      // More than was announced: the size check fails, and the rest isn't wanted on the disk.
      if (start + chunk.byteLength > remote.size) {
        await rm(path, { force: true });
        return options.failed(remote.url, new Error(`more than the announced ${remote.size} bytes arrive`));
      }
      await file.writeFile(chunk);
      start += chunk.byteLength;
      options.onBytes?.(start);
    }
    await file.sync();
    return start === remote.size ? null : options.failed(remote.url, new Error("the connection ended early"));
  } finally {
    await file?.close();
  }
}

/** The chunks of a response; an error of the network comes as the last value, so that it isn't taken for one of the disk. */
async function* chunksOf(
  response: Response,
  failed: (cause: unknown) => EnvironmentError,
): AsyncGenerator<Uint8Array | EnvironmentError> {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done) return;
      yield value;
    }
  } catch (cause) {
    yield failed(cause);
  } finally {
    await reader?.cancel().catch(() => {});
  }
}

/** Bytes of a file; -1 when there is none. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isNotFound(error)) return -1;
    throw error;
  }
}

async function hashOf(path: string, { hash, size }: RemoteFile): Promise<string> {
  const digest = createHash(hash.algorithm === "sha256" ? "sha256" : "sha1");
  if (hash.algorithm === "git-sha1") digest.update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) digest.update(chunk as Uint8Array);
  return digest.digest("hex");
}
