import { realpathSync } from "node:fs";
import { join, normalize, resolve } from "node:path";

/**
 * A path without `..` after a name, as the operating system follows it: `link/../b` lies beside what `link` leads to, while Node's
 * `join` and `resolve` take the two words away. Where one part of a program asks the system and another asks Node, they
 * speak of two folders. A name that does not exist is taken away, and Windows takes every name away itself.
 */
export function systemPath(path: string): string {
  if (process.platform === "win32" || !/[^/]\/+\.\.(\/|$)/.test(path)) return path;
  let at = path.startsWith("/") ? "/" : "";
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    at = name === ".." ? join(withoutLinks(at), "..") : join(at, name);
  }
  return normalize(at === "" ? "." : at);
}

/** Where a folder really lies, if a link is on the way to it. */
function withoutLinks(folder: string): string {
  try {
    const real = realpathSync(folder === "" ? "." : folder);
    return real === resolve(folder) ? folder : real;
  } catch {
    return folder;
  }
}
