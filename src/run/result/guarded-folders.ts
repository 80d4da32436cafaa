import { realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join, parse, resolve } from "node:path";
import { InputError } from "../../errors.js";

/** A file or folder that nothing may be written over. */
export interface Guarded {
  readonly path: string;
  /** As a sentence has it: "the model that is quantized". */
  readonly name: string;
  /** Whether nothing may be written below it either. */
  readonly below: boolean;
}

/** A folder that will be replaced or filled, and the option that names it. */
export interface Place {
  readonly path: string;
  /** `--out`, `--work`. */
  readonly option: string;
}

/** What no result takes the place of, whoever asks: the working folder, the home folder. */
export function commonGuards(): readonly Guarded[] {
  return [
    { path: process.cwd(), name: "the working directory", below: false },
    { path: homedir(), name: "your home folder", below: false },
  ];
}

/**
 * Refuses a place that is or holds what is guarded, or a root, or lies in a folder that may get nothing new. Links are resolved
 * on both sides, and folders are compared by what they are, so that another name of one is no way around.
 *
 * @throws InputError
 */
export async function assertOwnPlace({ path, option }: Place, guarded: readonly Guarded[]): Promise<void> {
  const place = await resolved(path);
  const refuse = (what: string, outside = ""): InputError =>
    new InputError({ where: `${option} ${path}`, what, next: `choose a new folder for ${option}${outside}` });
  if (place === parse(place).root) throw refuse("is the root of a file system");
  for (const { path: other, name, below } of guarded) {
    const real = await resolved(other);
    if (await isSame(place, real)) throw refuse(`is ${name}`);
    if (await isAbove(place, real)) throw refuse(`holds ${name} (${other})`);
    if (below && (await isAbove(real, place))) throw refuse(`lies in ${name} (${other})`, ", outside of it");
  }
}

/** Whether `folder` is one of those that lead to `path`. */
async function isAbove(folder: string, path: string): Promise<boolean> {
  for (let at = path; at !== dirname(at); ) {
    at = dirname(at);
    if (await isSame(folder, at)) return true;
  }
  return false;
}

async function isSame(a: string, b: string): Promise<boolean> {
  if (a === b) return true;
  const [first, second] = await Promise.all([a, b].map((path) => stat(path, { bigint: true }).catch(() => null)));
  // Zero is what file systems without such numbers tell.
  return !!first && !!second && first.ino !== 0n && first.ino === second.ino && first.dev === second.dev;
}

/** The real path, of which the end need not exist. */
async function resolved(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(await resolved(parent), basename(absolute));
  }
}
