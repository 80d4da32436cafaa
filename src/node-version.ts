import { CrossblockError } from "./errors.js";

/** The oldest Node that everything runs on, as `engines` of package.json says. */
const OLDEST = [20, 19] as const;

/**
 * What is wrong with a version of Node, and what to do; null for one that is new enough.
 *
 * @param version as `process.versions.node` has it: "20.19.0"
 */
export function nodeVersionError(version: string): CrossblockError | null {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return null;
  return new CrossblockError(
    {
      what: `crossblock needs Node ${OLDEST.join(".")} or newer, and this is Node ${version}`,
      where: process.execPath,
      next: `install a newer Node (https://nodejs.org/en/download) and run the same command again`,
    },
    1,
  );
}
