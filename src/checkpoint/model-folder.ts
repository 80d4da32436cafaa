import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../errors.js";
import { fileSystemError, isNotFound } from "./file-system/file-system-error.js";
import { shellWord } from "./file-system/shell-word.js";
import { gitLfsDetails, gitLfsPointer } from "./git-lfs-pointer.js";
import { quote } from "./json/json.js";

/** A file of a model folder, open for reading. */
export interface OpenFile {
  readonly fd: number;
  readonly size: number;
}

/**
 * A model folder on disk, and the only way its files are opened: by plain name, as regular files, and never outside it.
 *
 * Symbolic links are followed when they stay inside the folder, or when the folder is a snapshot of a Hugging Face
 * cache, or a folder of one (`<repository>/snapshots/<revision>/`), and the link leads into that repository's own
 * `<repository>/blobs/`.
 * Any other link is refused, because a downloaded model must not be able to name files of its user.
 */
export class ModelFolder {
  /** The folder as the user gave it. */
  readonly path: string;
  readonly #root: string;
  readonly #blobs: string | null;

  private constructor(path: string, root: string) {
    this.path = path;
    this.#root = root;
    this.#blobs = blobsOf(root);
  }

  /** @throws CheckpointError when `path` is not a folder */
  static open(path: string): ModelFolder {
    try {
      if (!statSync(path).isDirectory()) {
        throw fileInstead(path);
      }
      return new ModelFolder(path, realpathSync(path));
    } catch (error) {
      if (error instanceof CheckpointError) throw error;
      if (!isNotFound(error)) throw fileSystemError(error, "the model folder can't be read", path);
      throw new CheckpointError({
        what: "no such model folder",
        where: path,
        next: "check the path; a model folder holds config.json, tokenizer.json and model.safetensors",
        cause: error,
      });
    }
  }

  /** Names in the folder, sorted; for messages and for copying. */
  list(): string[] {
    try {
      return readdirSync(this.#root).sort();
    } catch (error) {
      throw fileSystemError(error, "the model folder can't be listed", this.path);
    }
  }

  has(name: string): boolean {
    return this.#resolve(name) !== null;
  }

  /**
   * Opens a file for reading; the caller closes `fd`.
   * @returns null when there is no such file
   * @throws CheckpointError for a name with a path in it, a link that leaves the folder, something not a plain file, or a
   *   Git LFS pointer in place of the file
   */
  openFile(name: string): OpenFile | null {
    const path = this.#resolve(name);
    if (path === null) return null;
    let fd: number | undefined;
    try {
      // O_NONBLOCK: opening a FIFO of that name must not hang.
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const stat = fstatSync(fd);
      if (stat.isFile()) {
        const meant = gitLfsPointer(fd, stat.size);
        if (meant === null) return { fd, size: stat.size };
        throw new CheckpointError(gitLfsDetails(join(this.path, name), meant));
      }
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      if (error instanceof CheckpointError) throw error;
      throw fileSystemError(error, "the file can't be opened", join(this.path, name));
    }
    closeSync(fd);
    throw new CheckpointError({
      what: "not a regular file",
      where: join(this.path, name),
      next: "replace it by the file from the model's source",
    });
  }

  /**
   * The whole of a small file, or null when there is none.
   * @param limit bytes; a larger file is refused before anything is read
   */
  readFile(name: string, limit: number): Uint8Array | null {
    const file = this.openFile(name);
    if (file === null) return null;
    const where = join(this.path, name);
    try {
      if (file.size > limit) {
        throw new CheckpointError({
          what: `${file.size} bytes, more than the limit of ${limit} bytes for this file`,
          where,
          next: "check that it is the file of the model's source and not something else under its name",
        });
      }
      const bytes = new Uint8Array(file.size);
      readFully(file.fd, bytes, 0, where);
      return bytes;
    } finally {
      closeSync(file.fd);
    }
  }

  /** As `readFile`, decoded; invalid UTF-8 is refused and a byte order mark dropped. */
  readText(name: string, limit: number): string | null {
    const bytes = this.readFile(name, limit);
    if (bytes === null) return null;
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new CheckpointError({
        what: "not valid UTF-8 text",
        where: join(this.path, name),
        next: "restore the file from the model's source",
        cause,
      });
    }
  }

  #resolve(name: string): string | null {
    const where = join(this.path, name);
    if (!isPlainFileName(name)) {
      throw new CheckpointError({
        what: `${quote(name)} is not a plain file name`,
        where: this.path,
        why: "names of files may not hold a path",
        next: "get the model from a source you trust",
      });
    }
    let real: string;
    try {
      real = realpathSync(join(this.#root, name));
    } catch (error) {
      if (isNotFound(error)) return null;
      throw fileSystemError(error, "the file can't be opened", where);
    }
    const home = dirname(real);
    if (home === this.#root || home === this.#blobs) return real;
    throw new CheckpointError({
      what: "a symbolic link that leads out of the model folder",
      where,
      why: "only links within the folder, or into the blobs of its own Hugging Face cache, are followed",
      next: `replace the link by the file: ${replaceLink(where)}`,
    });
  }
}

/** The blobs of the cache that a folder is a snapshot of, or lies at most two levels below one. */
function blobsOf(root: string): string | null {
  for (let at = root, below = 0; below < 3; at = dirname(at), below++) {
    const snapshots = dirname(at);
    if (basename(snapshots) === "snapshots") return join(dirname(snapshots), "blobs");
  }
  return null;
}

function fileInstead(path: string): CheckpointError {
  const home = dirname(path);
  const complete = existsSync(join(home, "config.json"));
  const isGguf = path.toLowerCase().endsWith(".gguf");
  return new CheckpointError({
    what: `this is a ${isGguf ? "GGUF " : ""}file, and a model is a folder`,
    where: path,
    next: complete
      ? `give the folder that holds config.json and the weights: ${home}`
      : `give the folder that holds config.json and safetensors weights${isGguf ? " of the original model" : ""}; ${home} has no config.json`,
  });
}

/** A command that puts a copy of the file in place of a link to it, in any POSIX shell. */
function replaceLink(link: string): string {
  const [from, copy] = [shellWord(link), shellWord(`${link}.copy`)];
  return `cp -L ${from} ${copy} && mv ${copy} ${from}`;
}

export function isPlainFileName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && name.length <= 255 && !/[/\\\0]/.test(name);
}

/** One system call reads at most this much: Linux stops at 2 GiB - 4 KiB. */
export const largestRead = 2 ** 30;

/**
 * Fills `bytes` from `position` of an open file (`pread`: the file's own position is not used).
 * @throws CheckpointError when the file ends before
 */
export function readFully(fd: number, bytes: Uint8Array, position: number, where: string): void {
  for (let done = 0; done < bytes.byteLength; ) {
    const length = Math.min(bytes.byteLength - done, largestRead);
    let count: number;
    try {
      count = readSync(fd, bytes, done, length, position + done);
    } catch (error) {
      throw fileSystemError(error, "reading failed", where);
    }
    if (count === 0) throw endedEarly(where);
    done += count;
  }
}

export function endedEarly(where: string): CheckpointError {
  return new CheckpointError({
    what: "the file ends before the data that it held when it was opened",
    where,
    why: "it was changed or truncated meanwhile",
    next: "restore the file and run the same command again",
  });
}
