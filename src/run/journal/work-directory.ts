import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isSequenceFile } from "../../calibration/self-generated/stored-sequences.js";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { InputError } from "../../errors.js";
import type { GivenOptions } from "../options/options.js";
import { checkWritable } from "../result/check-writable.js";
import { isArtefactName, manifestFile } from "./manifest.js";
import { lockFile, WorkLock } from "./work-lock.js";

/** What will be done, for people who look into a work directory. */
export const planFile = "plan.json";
/** What the result was scored at, for a run that is stopped after it. */
export const scoresFile = "scores.json";

/**
 * The folder in which a run keeps what it has finished, so that the same command goes on after any
 * end but success. It holds only files of ours; others that lie there are never touched.
 */
export class WorkDirectory implements Disposable {
  readonly path: string;
  readonly #lock: WorkLock;

  private constructor(
    path: string,
    lock: WorkLock,
    /** An empty folder that somebody else has made stays. */
    private readonly isGiven: boolean,
  ) {
    this.path = path;
    this.#lock = lock;
  }

  /** The work directory that options name, or the one beside the result: `OUT.work`. */
  static pathOf({ work, out }: Pick<GivenOptions, "work" | "out">): string {
    return resolve(work ?? `${resolve(out)}.work`);
  }

  /**
   * Makes the folder and takes its lock; with `fresh` what an earlier run left is discarded.
   *
   * @throws InputError for a folder with content of others; EnvironmentError when another process
   *   works in it, or it can't be written
   */
  static async open(options: Pick<GivenOptions, "work" | "out" | "fresh">): Promise<WorkDirectory> {
    const path = WorkDirectory.pathOf(options);
    let isGiven: boolean;
    try {
      isGiven = existsSync(path) && readdirSync(path).length === 0;
      await makeFolder(path);
      assertOurs(path);
    } catch (error) {
      throw error instanceof InputError ? error : fileSystemError(error, "the work directory can't be made", path);
    }
    const lock = WorkLock.acquire(path);
    if (options.fresh) removeOurs(path);
    return new WorkDirectory(path, lock, isGiven);
  }

  /** What `open` would refuse, without making anything. A lock is not looked at: it may be free by the time of the run. */
  static async check(options: Pick<GivenOptions, "work" | "out">): Promise<void> {
    const path = WorkDirectory.pathOf(options);
    await checkWritable(path, "the work directory can't be made");
    if (!existsSync(path)) return;
    try {
      assertOurs(path);
    } catch (error) {
      throw error instanceof InputError ? error : fileSystemError(error, "the work directory can't be read", path);
    }
  }

  /** Removes all of it: the run succeeded, and the result says everything. */
  remove(): void {
    removeOurs(this.path);
  }

  /** Gives the lock back. A folder without a finished window, or text that the model made up, is removed: it would save nothing. */
  [Symbol.dispose](): void {
    try {
      const names = readdirSync(this.path);
      if (!names.includes(manifestFile) && !names.some(isSequenceFile)) removeOurs(this.path);
      this.#lock[Symbol.dispose]();
      if (!this.isGiven) rmdirSync(this.path);
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

function assertOurs(path: string): void {
  const names = readdirSync(path);
  const foreign = names.find((name) => !isOurs(path, name, names));
  // Whoever puts a file beside saved windows keeps it; one of our names that is not ours would be overwritten.
  const begun = names.includes(manifestFile) && isOurs(path, manifestFile, names);
  if (foreign === undefined || (begun && !(foreign in marks))) return;
  throw new InputError({
    where: path,
    what: "the folder exists and is no work directory of crossblock",
    why: foreign in marks ? `its ${foreign} is someone else's` : `it holds ${foreign} and no ${manifestFile}`,
    next: "choose an empty or a new folder with --work",
  });
}

/** Files with names that others use as well, and what ours say. */
const marks: Readonly<Record<string, readonly string[]>> = {
  [manifestFile]: ["sha256", "body"],
  [planFile]: ["event", "windows"],
  [lockFile]: ["token", "pid"],
  [scoresFile]: ["key", "quality"],
};

/** @param names all names in the folder */
function isOurs(path: string, name: string, names: readonly string[]): boolean {
  const keys = marks[name];
  if (keys === undefined) return isArtefactName(name) || isSequenceFile(name) || /^\..+\.[0-9a-f]{12}\.tmp$/.test(name);
  try {
    const value: unknown = JSON.parse(readFileSync(join(path, name), "utf8"));
    return value !== null && typeof value === "object" && keys.every((key) => key in value);
  } catch {
    // Damaged. Beside saved windows it is ours.
    return names.some(isArtefactName);
  }
}

function removeOurs(path: string): void {
  // The manifest first: without it nothing else counts, should this be interrupted.
  const names = readdirSync(path);
  const ours = names.filter((name) => name !== lockFile && isOurs(path, name, names));
  ours.sort((a, b) => Number(b === manifestFile) - Number(a === manifestFile));
  for (const name of ours) rmSync(join(path, name), { force: true });
}
