import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, relative, resolve, sep } from "node:path";

/** A folder or file here, and what is told of it in files that others will read. */
export interface ToldPlace {
  readonly path: string;
  readonly told: string;
}

/**
 * What a result tells of a path: how it lies beside the result, `../model`. Where the two have nothing in common below the
 * root, or below the folder of all homes, the way would tell how this machine is arranged: then the name alone.
 */
export function toldPath(path: string, from: string): string {
  const inside = relative(resolve(from), resolve(path));
  // A link in the folder is one of its files, wherever it leads.
  if (inside !== "" && inside.split(sep)[0] !== "..") return inside.split(sep).join("/");
  const [real, base] = [realOf(path), realOf(from)];
  const way = relative(base, real);
  let shared = base;
  for (const step of way.split(sep)) if (step === "..") shared = dirname(shared);
  const homes = dirname(realOf(homedir()));
  if (shared === dirname(shared) || shared === homes) return basename(real);
  return way === "" ? "." : way.split(sep).join("/");
}

/**
 * The same value, in whose texts no path of this machine stands: each of `places` is told as it says, and the working and
 * the home folder as `.` and `~`.
 */
export function withoutPaths<T>(value: T, places: readonly ToldPlace[]): T {
  const known = new Map<string, string>();
  for (const { path, told } of places) {
    for (const spelling of [resolve(path), realOf(path)]) if (!known.has(spelling)) known.set(spelling, told);
  }
  for (const [path, told] of [
    [process.cwd(), "."],
    [homedir(), "~"],
    [realOf(homedir()), "~"],
  ] as const) {
    if (!known.has(path)) known.set(path, told);
  }
  known.delete("/");
  // A folder before the one that holds it.
  const paths = [...known.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(`(?<![\\w.~/-])(${paths.map(escaped).join("|")})(?![\\w-])`, "g");
  return replaced(value, (text) =>
    text.includes("/") ? text.replace(pattern, (path) => known.get(path) ?? path) : text,
  ) as T;
}

function replaced(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((entry) => replaced(entry, change));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, replaced(entry, change)]));
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** The real path, of which the end need not exist. */
function realOf(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(realOf(parent), basename(absolute));
  }
}
