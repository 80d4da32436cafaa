import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { EnvironmentError, InputError } from "../errors.js";

/** The file that marks a folder as a result of crossblock. */
export const resultFile = "crossblock.json";

/**
 * The folder of a result, which appears complete or not at all: files are written to a hidden
 * sibling, `staging`, and `commit` renames it.
 */
export class OutputFolder implements AsyncDisposable {
  /** Where to write meanwhile. */
  readonly staging: string;
  readonly #target: string;

  private constructor(target: string, staging: string) {
    this.#target = target;
    this.staging = staging;
  }

  /**
   * Refuses a target that is a file, or a folder with content that crossblock did not write.
   *
   * @throws InputError unless `force` is set.
   */
  static async check(out: string, options: { readonly force: boolean }): Promise<void> {
    const target = resolve(out);
    let entries: string[];
    try {
      entries = await readdir(target);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return;
      if (codeOf(error) !== "ENOTDIR") throw unwritable(target, error);
      throw new InputError({
        where: target,
        what: "is a file, or lies below one; the result needs a folder",
        next: "choose another --out",
      });
    }
    if (entries.length > 0 && !entries.includes(resultFile) && !options.force) {
      throw new InputError({
        where: target,
        what: "the folder exists and crossblock did not write it",
        why: `it holds ${entries[0] ?? "files"} and no ${resultFile}`,
        next: "choose another --out, or replace it with --force",
      });
    }
  }

  /** Checks the target and creates the staging folder; what a killed run left behind is removed. */
  static async create(out: string, options: { readonly force: boolean }): Promise<OutputFolder> {
    await OutputFolder.check(out, options);
    const target = resolve(out);
    const parent = dirname(target);
    try {
      await mkdir(parent, { recursive: true });
      await removeAbandoned(target);
      const staging = join(parent, `${stagingPrefix(target)}${process.pid}-${randomUUID().slice(0, 8)}`);
      await mkdir(staging);
      return new OutputFolder(target, staging);
    } catch (error) {
      throw unwritable(parent, error);
    }
  }

  /** Puts the staged files in place of whatever was there. */
  async commit(): Promise<void> {
    const old = `${this.staging}-old`;
    try {
      await rename(this.#target, old).catch((error: unknown) => {
        if (codeOf(error) !== "ENOENT") throw error;
      });
      await rename(this.staging, this.#target);
    } catch (error) {
      throw unwritable(this.#target, error);
    }
    await rm(old, { recursive: true, force: true });
  }

  /** Removes what is staged; nothing to do after `commit`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.staging, { recursive: true, force: true });
  }
}

function stagingPrefix(target: string): string {
  return `.${basename(target)}.crossblock-`;
}

async function removeAbandoned(target: string): Promise<void> {
  const prefix = stagingPrefix(target);
  for (const entry of await readdir(dirname(target))) {
    const owner = entry.startsWith(prefix) ? Number.parseInt(entry.slice(prefix.length), 10) : Number.NaN;
    if (Number.isInteger(owner) && !isRunning(owner)) {
      await rm(join(dirname(target), entry), { recursive: true, force: true });
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** Bytes of all files below a folder. */
export async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(file.parentPath, file.name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function unwritable(where: string, cause: unknown): EnvironmentError {
  const code = codeOf(cause);
  return new EnvironmentError({
    where,
    what: code === "ENOSPC" ? "no space is left for the result" : "the result's folder can't be written",
    why: cause instanceof Error ? cause.message : String(cause),
    next: code === "ENOSPC" ? "free some space, or choose another disk with --out" : "choose another --out",
    cause,
  });
}
