import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileSystemError } from "../checkpoint/file-system-error.js";
import { InputError } from "../errors.js";
import { isArtefactName, manifestFile } from "./manifest.js";
import type { RunOptions } from "./options.js";
import { lockFile, WorkLock } from "./work-lock.js";

/** What will be done, for people who look into a work directory. */
export const planFile = "plan.json";

/**
 * The folder in which a run keeps what it has finished, so that the same command goes on after any
 * end but success. It holds only files of ours; others that lie there are never touched.
 */
export class WorkDirectory implements Disposable {
  readonly path: string;
  readonly #lock: WorkLock;

  private constructor(path: string, lock: WorkLock) {
    this.path = path;
    this.#lock = lock;
  }

  /** The work directory that options name, or the one beside the result: `OUT.work`. */
  static pathOf({ work, out }: Pick<RunOptions, "work" | "out">): string {
    return resolve(work ?? `${resolve(out)}.work`);
  }

  /**
   * Makes the folder and takes its lock; with `fresh` what an earlier run left is discarded.
   *
   * @throws InputError for a folder with content of others; EnvironmentError when another process
   *   works in it, or it can't be written
   */
  static async open(options: Pick<RunOptions, "work" | "out" | "fresh">): Promise<WorkDirectory> {
    const path = WorkDirectory.pathOf(options);
    let names: string[];
    try {
      await makeFolder(path);
      names = readdirSync(path);
    } catch (error) {
      throw fileSystemError(error, "the work directory can't be made", path);
    }
    const foreign = names.find((name) => !isOurs(name));
    if (foreign !== undefined && !names.includes(manifestFile)) {
      throw new InputError({
        where: path,
        what: "the folder exists and is no work directory of crossblock",
        why: `it holds ${foreign} and no ${manifestFile}`,
        next: "choose an empty or a new folder with --work",
      });
    }
    const lock = WorkLock.acquire(path);
    if (options.fresh) removeOurs(path);
    return new WorkDirectory(path, lock);
  }

  /** Removes all of it: the run succeeded, and the result says everything. */
  remove(): void {
    removeOurs(this.path);
  }

  /** Gives the lock back. A folder without a finished window is removed: it would save nothing. */
  [Symbol.dispose](): void {
    try {
      if (!existsSync(join(this.path, manifestFile))) removeOurs(this.path);
      this.#lock[Symbol.dispose]();
      rmdirSync(this.path);
    } catch {
      // Not empty: there is something to continue, or a file that is not ours. What a disk refuses
      // here must not hide the error that ended the run.
    }
  }
}

// Node says of a read-only disk that the folder is gone when it makes parents too; a plain attempt tells the reason.
async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch(async () => mkdir(path));
}

function isOurs(name: string): boolean {
  return isArtefactName(name) || [manifestFile, planFile, lockFile].includes(name) || /^\..+\.tmp$/.test(name);
}

function removeOurs(path: string): void {
  // The manifest first: without it nothing else counts, should this be interrupted.
  for (const name of [manifestFile, ...readdirSync(path).filter((file) => isOurs(file) && file !== lockFile)]) {
    rmSync(join(path, name), { force: true });
  }
}
