import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const IMPORT = /(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)\.js"/g;

/**
 * Removes the declarations that the package's own do not lead to: they are of internals, and would be offered by editors.
 *
 * @param {string} folder what tsc wrote @param {string} entry the declarations of the package, in it
 * @returns {readonly string[]} what is left, by its path in the folder
 */
export function pruneTypes(folder, entry) {
  /** @type {Set<string>} */
  const reached = new Set();
  const waiting = [entry];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    for (const [, path = ""] of readFileSync(join(folder, file), "utf8").matchAll(IMPORT)) {
      const next = normalize(join(dirname(file), `${path}.d.ts`));
      if (!existsSync(join(folder, next))) throw new Error(`${file} imports ${path}, which has no declarations`);
      waiting.push(next);
    }
  }
  for (const file of readdirSync(folder, { recursive: true }).map(String)) {
    if (file.endsWith(".d.ts") && !reached.has(file)) rmSync(join(folder, file));
  }
  return [...reached].sort();
}
