/**
 * Fills the marked places of the pages: figures from the tables of docs/measurements, tables and examples from the code.
 * `npm run pages` writes them; `test/project/pages.test.ts` fails where they are not what they would be.
 *
 * | `<!--=NAME/ROW/COLUMN-->24.09<!--/-->` | the cell of a table that has `<!-- figures: NAME -->` on the line above it |
 * | `<!-- table: NAME -->` ... `<!-- /table -->` | a table of `code-tables.mjs` |
 * | `<!-- code: PATH -->` ... `<!-- /code -->` | a file of the repository without its imports |
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bitsTable, codeTables } from "./code-tables.mjs";
import { figuresOf, tableFigures } from "./figures.mjs";
import { optionTypes } from "./option-types.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const FIGURES = "docs/measurements/figures.json";

const read = (/** @type {string} */ path) => readFileSync(join(ROOT, path), "utf8");
const pagesIn = (/** @type {string} */ folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => `${folder}/${name}`);

/** @returns {Record<string, import("./figures.mjs").Figure>} every figure that a page may quote */
export function allFigures() {
  const { header, rows } = bitsTable();
  const computed = {
    machine: "any",
    date: null,
    command: "`npm run pages`, from `src/format/bits/bits-per-weight.ts`",
  };
  const entries = [
    ...pagesIn("docs/measurements").flatMap((page) => figuresOf(page, read(page))),
    ...tableFigures("bits", "Bits per quantized weight", header, rows, computed),
  ];
  const figures = Object.fromEntries(entries);
  const [twice] = entries.filter(([id], i) => entries.findIndex(([other]) => other === id) !== i);
  if (twice !== undefined) throw new Error(`two figures are called ${twice[0]}: rename a row, a column or a table`);
  return figures;
}

/**
 * A page with its marked places filled.
 * @param {string} page for errors @param {string} text @param {Record<string, { value: string }>} figures
 */
export function fill(page, text, figures) {
  return text
    .replaceAll(/(<!--=([a-z0-9/-]+)-->)[^<]*(<!--\/-->)/g, (_all, begin, id, end) => {
      const figure = figures[id];
      if (figure === undefined) throw new Error(`${page}: ${FIGURES} has no figure ${id}`);
      return `${begin}${figure.value}${end}`;
    })
    .replaceAll(/(<!-- table: (\S+) -->\n)[\s\S]*?(<!-- \/table -->)/g, (_all, begin, name, end) => {
      const make = codeTables[name];
      if (make === undefined) throw new Error(`${page}: scripts/pages/code-tables.mjs has no table ${name}`);
      return `${begin}\n${make()}\n\n${end}`;
    })
    .replaceAll(/(<!-- code: (\S+) -->\n)[\s\S]*?(<!-- \/code -->)/g, (_all, begin, path, end) => {
      const code = read(path)
        .replaceAll(/^import [\s\S]*?;\n/gm, "")
        .trim();
      return `${begin}\n\`\`\`ts\n${code}\n\`\`\`\n\n${end}`;
    });
}

/** @returns {Map<string, string>} every file that is filled or generated, as it should be, by its path */
export function wantedPages() {
  const figures = allFigures();
  const pages = ["README.md", "FEATURES.md", "CONTRIBUTING.md", ...pagesIn("docs/guide")];
  return new Map([
    [FIGURES, `${JSON.stringify(figures, null, 2)}\n`],
    ...optionTypes(),
    ...pages.map((page) => /** @type {const} */ ([page, fill(page, read(page), figures)])),
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, wanted] of wantedPages()) writeFileSync(join(ROOT, path), wanted);
}
