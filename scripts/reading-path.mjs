/**
 * Prints what has to be read to understand a recipe: its own file, the files with its formulas, and those between them.
 * A formula is in a file whose comments name the recipe's paper. The way to it is the shortest chain of imports from the
 * recipe; imports of types alone don't count, and tensor/ is taken for known.
 *
 *   node scripts/reading-path.mjs [cbq]
 */
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const SRC = join(dirname(dirname(fileURLToPath(import.meta.url))), "src");
const IMPORT = /^import (?!type\b)(?<names>[^;]*?) from "(?<from>\.[^"]+)\.js";/gms;

/** @param {string} names what stands between `import` and `from` @returns {boolean} whether a value is among it */
function importsValue(names) {
  const listed = /\{(.*)\}/s.exec(names)?.[1];
  return listed === undefined || listed.split(",").some((name) => /^\s*(?!type\s)\w/.test(name));
}

/** @param {string} file a path below src/ @param {string} text @returns {string[]} the files whose values it imports */
function valueImports(file, text) {
  return [...text.matchAll(IMPORT)]
    .filter(({ groups }) => importsValue(groups?.["names"] ?? ""))
    .map(({ groups }) => relative(SRC, resolve(SRC, dirname(file), `${groups?.["from"]}.ts`)))
    .filter((imported) => !imported.startsWith("tensor/"));
}

/**
 * @param {string} recipe a name of the table in recipe/recipes.ts
 * @returns {{ readonly paper: string, readonly formulas: string[], readonly files: string[] }} paths below src/: the files
 *   with formulas, and all that have to be read, nearest to the recipe first
 */
export function readingPath(recipe) {
  const start = `recipe/${recipe}.ts`;
  const paper = /^ {2}paper: "(.+)",$/m.exec(readFileSync(join(SRC, start), "utf8"))?.[1];
  if (paper === undefined) throw new Error(`${start} names no paper. Next: give the name of a recipe that has one`);
  /** Where each file was first met; a breadth-first search meets it on the shortest way. */
  const from = new Map([[start, start]]);
  const formulas = [];
  for (const file of from.keys()) {
    const text = readFileSync(join(SRC, file), "utf8");
    if (file !== start && text.includes(paper)) formulas.push(file);
    for (const imported of valueImports(file, text)) if (!from.has(imported)) from.set(imported, file);
  }
  const files = new Set([start]);
  for (const formula of formulas) {
    for (let file = formula; file !== start; file = from.get(file) ?? start) files.add(file);
  }
  return { paper, formulas, files: [...from.keys()].filter((file) => files.has(file)) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { paper, formulas, files } = readingPath(process.argv[2] ?? "cbq");
  console.log(`${files.length} files; * has formulas of ${paper}`);
  for (const file of files) console.log(`${formulas.includes(file) ? "*" : " "} src/${file}`);
}
