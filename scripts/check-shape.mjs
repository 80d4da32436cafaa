/**
 * Checks that files and folders stay small enough to be read: no source file has more than 300 lines, no folder more than
 * 15 files (tests counted, sub-folders not). Prints what is too large and what to do, and exits with 1.
 *
 *   node scripts/check-shape.mjs            (and --root FOLDER for another checkout)
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const MOST_LINES = 300;
const MOST_FILES = 15;
const HERE = dirname(dirname(fileURLToPath(import.meta.url)));

/** Folders with code; files elsewhere are settings, pages and data. */
const CODE = /^(src|native|scripts|bench|test|examples)\//;
const SOURCES = /\.(ts|mts|mjs|js|cpp|h|cu|cuh|py|sh|grit)$/;
/** Golden files of tests: their number is that of the cases, and a tool wrote them. So it did the types of options. */
const DATA = /\/testing\/[^/]+\/|^src\/api\/generated\//;

/** @param {string} root @returns {string[]} the files of a checkout, also those that are not committed yet */
function filesOf(root) {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  const names = listed.toString().split("\0");
  return [...new Set(names)].filter((name) => CODE.test(name) && existsSync(join(root, name)));
}

/** @param {string} root @param {readonly string[]} files @returns {string[]} */
function longFiles(root, files) {
  return files
    .filter((name) => SOURCES.test(name) && !DATA.test(name))
    .map((name) => ({ name, lines: readFileSync(join(root, name), "utf8").split("\n").length - 1 }))
    .filter(({ lines }) => lines > MOST_LINES)
    .map(
      ({ name, lines }) =>
        `${name} has ${lines} lines, and may have ${MOST_LINES}. Next: move one of its ideas to a file of its own`,
    );
}

/** @param {readonly string[]} files @returns {string[]} */
function fullFolders(files) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const name of files) counts.set(dirname(name), (counts.get(dirname(name)) ?? 0) + 1);
  return [...counts]
    .filter(([folder, count]) => count > MOST_FILES && !DATA.test(`${folder}/`))
    .map(
      ([folder, count]) =>
        `${folder}/ has ${count} files, and may have ${MOST_FILES}. Next: move those that belong together to a folder in it`,
    );
}

const { root } = parseArgs({ options: { root: { type: "string", default: HERE } } }).values;
const files = filesOf(root);
const faults = [...longFiles(root, files), ...fullFolders(files)];
for (const fault of faults) console.error(fault);
if (files.length === 0) console.error(`no code in ${root}. Next: give the root of a checkout with --root`);
if (faults.length > 0 || files.length === 0) process.exitCode = 1;
