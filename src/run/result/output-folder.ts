import { createHash, randomUUID } from "node:crypto";
import type { Stats } from "node:fs";
import { lstat, mkdir, readdir, realpath, rename, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { syncFolder } from "../../checkpoint/file-system/write-file-atomically.js";
import { EnvironmentError } from "../../errors.js";
import { hostName } from "../machine/host-name.js";
import { type FolderContents, removeFiles, resultContents } from "./result-contents.js";

/** What became of the files that lay where a result was put. */
export interface Replaced {
  /** Files of an earlier result, which are gone. */
  readonly removed: readonly string[];
  /** Where everything else lies now; null when there was nothing else. */
  readonly movedTo: string | null;
  readonly moved: readonly string[];
}

/** What in a folder may be removed when a result takes its place. */
export type Sort = (folder: string) => Promise<FolderContents>;

/** For a place where nothing was agreed to be replaced: what has appeared there meanwhile is kept whole. */
export const keepAll: Sort = async (folder) => ({ own: [], foreign: await readdir(folder) });

/**
 * The folder of a result, which appears complete or not at all: files are written to a hidden sibling, `staging`, and
 * `commit` renames it. What lies there is renamed to `OUT.old-DATE` first, and only then are those of its files
 * removed that an earlier result consisted of. So at every moment the old folder or the new one is whole; where a process
 * ends between the two renames, `recover` does the second.
 */
export class OutputFolder implements AsyncDisposable {
  /** Where to write meanwhile. */
  readonly staging: string;
  readonly #target: string;

  private constructor(target: string, staging: string) {
    this.#target = target;
    this.staging = staging;
  }

  /** Creates the staging folder; what a killed run left behind is removed. */
  static async create(out: string): Promise<OutputFolder> {
    const target = await followed(out);
    const parent = dirname(target);
    try {
      await mkdir(parent, { recursive: true });
      await recoverTarget(target);
      const staging = join(parent, `${stagingPrefix(target)}${process.pid}-${hostMark()}-${randomUUID().slice(0, 8)}`);
      await mkdir(staging);
      return new OutputFolder(target, staging);
    } catch (error) {
      throw unwritable(parent, error);
    }
  }

  /** Finishes or undoes what killed runs left beside `out`. */
  static async recover(out: string): Promise<void> {
    const target = await followed(out);
    try {
      await recoverTarget(target);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw unwritable(dirname(target), error);
    }
  }

  /**
   * Puts the staged files in place of whatever is there.
   *
   * @param sort says which files of it are removed; the others are kept in `OUT.old-DATE`
   * @returns null where nothing was there
   */
  async commit(sort: Sort = resultContents): Promise<Replaced | null> {
    const target = this.#target;
    try {
      await syncFolder(this.staging);
      // An empty folder gives way, as nothing does.
      await rmdir(target).catch(ignored("ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR"));
      if ((await statusOf(target)) === null) {
        await rename(this.staging, target);
        await syncFolder(dirname(target));
        return null;
      }
      // A file or a link without a target is moved as it is.
      const isFolder = (await statusOf(target))?.isDirectory() === true;
      const contents = isFolder ? await sort(target) : { own: [], foreign: [basename(target)] };
      const old = await freeName(`${target}.old-${new Date().toISOString().slice(0, 10)}`);
      // From here on its name says that it is complete.
      const ready = `${this.staging}${readyMark}`;
      await rename(this.staging, ready);
      try {
        await rename(target, old);
        await rename(ready, target);
      } catch (error) {
        await rename(old, target).catch(() => {});
        await rm(ready, { recursive: true, force: true });
        throw error;
      }
      await syncFolder(dirname(target));
      return await cleared(old, contents);
    } catch (error) {
      throw unwritable(target, error);
    }
  }

  /** Removes what is staged; nothing to do after `commit`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.staging, { recursive: true, force: true });
  }
}

/** Moves a single file out of the way of one that will be written: `FILE.old-DATE`. */
export async function moveAside(path: string): Promise<string> {
  const old = await freeName(`${path}.old-${new Date().toISOString().slice(0, 10)}`);
  await rename(path, old);
  return old;
}

/** A path with its links resolved as far as it exists: the folder behind a link is replaced, and the link stays. */
async function followed(out: string): Promise<string> {
  return realpath(resolve(out)).catch(() => resolve(out));
}

const readyMark = ".ready";

function stagingPrefix(target: string): string {
  return `.${basename(target)}.crossblock-`;
}

async function cleared(old: string, { own, foreign }: FolderContents): Promise<Replaced> {
  await removeFiles(old, own);
  const movedTo = (await statusOf(old)) === null ? null : old;
  return { removed: own, movedTo, moved: foreign };
}

async function recoverTarget(target: string): Promise<void> {
  const parent = dirname(target);
  const prefix = stagingPrefix(target);
  for (const entry of await readdir(parent)) {
    const [, pid, host] = /^(\d+)-(?:([0-9a-f]{6})-)?/.exec(ownerOf(entry, prefix)) ?? [];
    if (pid === undefined) continue;
    const isHere = host === undefined || host === hostMark();
    if (isHere ? isRunning(Number(pid)) : await isRecent(join(parent, entry))) continue;
    // A complete one without a target ended between two renames. What it replaced lies in OUT.old-DATE, and stays there.
    if (entry.endsWith(readyMark) && (await statusOf(target)) === null) await rename(join(parent, entry), target);
    else await rm(join(parent, entry), { recursive: true, force: true });
  }
}

function ownerOf(entry: string, prefix: string): string {
  return entry.startsWith(prefix) ? entry.slice(prefix.length) : "";
}

// Of this host, in a name: on a shared disk, and for a container, the process ids of others say nothing here.
function hostMark(): string {
  return createHash("sha256").update(hostName()).digest("hex").slice(0, 6);
}

/** How long what another host has begun is taken to be under way, in milliseconds. */
const UNDER_WAY = 24 * 3600 * 1000;

async function isRecent(path: string): Promise<boolean> {
  const status = await statusOf(path);
  return status !== null && Date.now() - status.mtimeMs < UNDER_WAY;
}

/** A name that nothing has yet: the given one, or with a number after it. */
async function freeName(name: string): Promise<string> {
  for (let count = 1; ; count++) {
    const candidate = count === 1 ? name : `${name}-${count}`;
    if ((await statusOf(candidate)) === null) return candidate;
  }
}

async function statusOf(path: string): Promise<Stats | null> {
  return lstat(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  });
}

function ignored(...codes: readonly string[]): (error: unknown) => void {
  return (error) => {
    if (!codes.includes(codeOf(error) ?? "")) throw error;
  };
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
