import { randomUUID } from "node:crypto";
import {
  constants,
  copyFileSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { fileSystemError, isNotFound } from "../../checkpoint/file-system/file-system-error.js";
import { temporaryName } from "../../checkpoint/file-system/write-file-atomically.js";
import { EnvironmentError } from "../../errors.js";
import { hostName } from "../machine/host-name.js";

const owner = z.object({
  token: z.string(),
  pid: z.int(),
  host: z.string(),
  /** When the process started, in clock ticks since the system did: process ids are used again. */
  processStart: z.string().nullable(),
  since: z.string(),
});

type Owner = z.output<typeof owner>;

export const lockFile = "lock.json";

/** How often the owner shows that it lives, and how long others wait for such a sign, in milliseconds. */
const BEAT = 2000;
const SILENCE = 30_000;

/**
 * Keeps a second process out of a work directory. The lock of a process that is gone is taken over: on
 * this host its id tells, on another one (a shared disk, a container that was restarted) that it has
 * not touched the lock for half a minute.
 */
export class WorkLock implements Disposable {
  readonly #path: string;
  readonly #self: Owner;
  readonly #timer: NodeJS.Timeout;

  private constructor(path: string, self: Owner) {
    this.#path = path;
    this.#self = self;
    this.#timer = setInterval(() => this.#beat(), BEAT).unref();
  }

  /** @throws EnvironmentError when another process holds the lock, or it can't be written */
  static acquire(folder: string): WorkLock {
    const path = join(folder, lockFile);
    const self: Owner = {
      token: randomUUID(),
      pid: process.pid,
      host: hostName(),
      processStart: processStart(process.pid),
      since: new Date().toISOString(),
    };
    const own = temporaryName(path);
    try {
      writeFileSync(own, `${JSON.stringify(self)}\n`, { flag: "wx" });
      for (;;) {
        try {
          putInPlace(own, path);
          return new WorkLock(path, self);
        } catch (error) {
          if (codeOf(error) !== "EEXIST") throw error;
        }
        removeStale(path, own);
      }
    } catch (error) {
      throw error instanceof EnvironmentError ? error : fileSystemError(error, "the lock can't be taken", path);
    } finally {
      rmSync(own, { force: true });
    }
  }

  /** Gives the lock back. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    const holder = readOwner(this.#path);
    if (holder !== "gone" && holder?.token === this.#self.token) rmSync(this.#path, { force: true });
  }

  #beat(): void {
    try {
      const now = new Date();
      utimesSync(this.#path, now, now);
    } catch {
      // A full or vanished disk is reported by whatever is written next.
    }
  }
}

/** Removes the lock when its owner is gone; `own` is a fresh file of the same disk, for its clock. */
function removeStale(path: string, own: string): void {
  const holder = readOwner(path);
  if (holder === "gone") return;
  const age = statSync(own).mtimeMs - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  if (holder !== null && isAlive(holder, age)) throw held(path, holder);
  // A lock that can't be read is one that a full disk cut short, unless it is being written now.
  if (holder === null && age < SILENCE) throw held(path, null);
  const aside = temporaryName(path);
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isNotFound(error)) return;
    throw error;
  }
  // Two processes may have seen the same stale lock, and the slower one now holds the quicker one's new lock.
  const moved = readOwner(aside);
  if (moved !== "gone" && moved?.token !== holder?.token) {
    try {
      putInPlace(aside, path);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }
  rmSync(aside, { force: true });
}

// A link appears with its content or not at all, and never over another one. Not every disk has links.
function putInPlace(file: string, path: string): void {
  try {
    linkSync(file, path);
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(codeOf(error) ?? "")) throw error;
    copyFileSync(file, path, constants.COPYFILE_EXCL);
  }
}

function isAlive({ pid, host, processStart: start }: Owner, age: number): boolean {
  if (host !== hostName()) return age < SILENCE;
  const now = processStart(pid);
  if (now !== null && start !== null) return now === start;
  if (now === "gone") return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

function held(path: string, holder: Owner | null): EnvironmentError {
  const where = holder === null ? "" : holder.host === hostName() ? "" : ` on ${holder.host}`;
  return new EnvironmentError({
    where: path,
    what: "another process works in this directory",
    why: holder === null ? "its lock can't be read" : `process ${holder.pid}${where}, since ${holder.since}`,
    next:
      where === ""
        ? "wait for it, stop it, or choose another --work folder"
        : "wait for it; if it has ended, its lock is taken over half a minute later",
  });
}

function readOwner(path: string): Owner | null | "gone" {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isNotFound(error)) return "gone";
    throw error;
  }
  try {
    return owner.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

// When a process started; null on systems that do not tell. A killed process that nobody has waited for
// keeps its id and its entry, as "Z".
function processStart(pid: number): string | "gone" | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return process.platform === "linux" ? "gone" : null;
  }
  // The name in the second field may hold spaces and parentheses; after it come fields 3 to 52.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return /^[ZX]/.test(fields[0] ?? "") ? "gone" : (fields[19] ?? null);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
