import { EnvironmentError } from "./errors.js";

/** The oldest Node that everything runs on, as `engines` of package.json says. */
const OLDEST: readonly [major: number, minor: number] = [20, 19];

/**
 * What is wrong with a version of Node, and what to do; null for one that is new enough. Older versions have to parse this
 * file and `errors.ts`, which therefore use no newer syntax.
 *
 * @param version as `process.versions.node` has it: "20.19.0"
 */
export function nodeVersionError(version: string): EnvironmentError | null {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return null;
  return new EnvironmentError({
    where: process.execPath,
    what: `crossblock needs Node ${OLDEST.join(".")} or newer, and this is Node ${version}`,
    next: "install a newer Node (https://nodejs.org/en/download), then run the same again",
  });
}
