import { homedir } from "node:os";
import { join } from "node:path";

/**
 * A path with the home folder in place of a leading `~`, which a shell leaves as it is after `=` and in quotes, and nobody
 * expands in a configuration file. A folder that is really called `~` is `./~`.
 */
export function expandHome(path: string): string {
  if (path === "~") return homedir();
  return /^~[/\\]/.test(path) ? join(homedir(), path.slice(2)) : path;
}

/** Why a path that begins with `~` is not expanded; null for any other. */
export function foreignHome(path: string): string | null {
  const user = /^~[^/\\]+/.exec(path)?.[0];
  return user === undefined ? null : `${user} is the home folder of another user to a shell, and is not looked up here`;
}
