/** The measured tables of a page, and the figures in them: one for each cell of a table that has a name. */

/** @typedef {{ value: string, what: string, machine: string, date: string | null, command: string }} Figure */
/** @typedef {{ machine: string, date: string, command: string }} Measurement */
/** @typedef {{ line: number, title: string, name: string | null, measured: Measurement | null, header: string[], rows: string[][] }} Table */

/** Stands before a table, in a paragraph of its own: who measured it, when and by which command. */
const MEASURED = /^Measured on (.+), (\d{4}-\d\d-\d\d), by (.+)\.$/;
/** Names a table whose figures other pages quote. */
const NAMED = /^<!-- figures: ([a-z0-9-]+) -->$/;

/**
 * The tables of a page, each with the last measurement that its section tells before it.
 * @param {string} text @returns {Table[]}
 */
export function tablesOf(text) {
  const lines = text.split("\n");
  /** @type {Table[]} */
  const tables = [];
  /** @type {Measurement | null} */
  let measured = null;
  let paragraph = "";
  let title = "";
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (/^#/.test(line)) {
      measured = null;
      title = line.replace(/^#+ /, "");
    }
    if (line.startsWith("|") && /^\|[-:| ]+\|$/.test(lines[at + 1] ?? "")) {
      const end = lines.findIndex((each, i) => i > at && !each.startsWith("|"));
      const rows = lines.slice(at + 2, end === -1 ? undefined : end).map(cells);
      tables.push({
        line: at + 1,
        title,
        name: NAMED.exec(lines[at - 1] ?? "")?.[1] ?? null,
        measured,
        header: cells(line),
        rows,
      });
      at += rows.length + 1;
      paragraph = "";
    } else if (line === "" || line.startsWith("<!--")) {
      paragraph = "";
    } else {
      paragraph = paragraph === "" ? line : `${paragraph} ${line}`;
      const [, machine, date, command] = MEASURED.exec(paragraph) ?? [];
      if (machine !== undefined && date !== undefined && command !== undefined && (lines[at + 1] ?? "") === "") {
        measured = { machine, date, command };
      }
    }
  }
  return tables;
}

/**
 * The figures of the named tables: `name/row/column`, each as `slug` writes it.
 * @param {string} page for errors @param {string} text @returns {[string, Figure][]}
 */
export function figuresOf(page, text) {
  return tablesOf(text).flatMap(({ name, measured, title, header, rows, line }) => {
    if (name === null) return [];
    if (measured === null)
      throw new Error(`${page}, line ${line}: no paragraph "Measured on ..., DATE, by ..." before the table`);
    return tableFigures(name, title, header, rows, measured);
  });
}

/**
 * @param {string} name @param {string} title the heading above it @param {string[]} header @param {string[][]} rows
 * @param {{ machine: string, date: string | null, command: string }} measured
 * @returns {[string, Figure][]}
 */
export function tableFigures(name, title, header, rows, measured) {
  return rows.flatMap(([row = "", ...values]) =>
    values.flatMap((cell, i) => {
      const value = plain(cell);
      const column = header[i + 1] ?? "";
      /** @type {[string, Figure]} */
      const entry = [
        `${name}/${slug(row)}/${slug(column)}`,
        {
          value,
          what: `${title}: ${[header[0] ?? "", row, column]
            .map(plain)
            .filter((part) => part !== "")
            .join(", ")}`,
          ...measured,
        },
      ];
      return value === "" ? [] : [entry];
    }),
  );
}

/** @param {string} line @returns {string[]} */
function cells(line) {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** @param {string} cell */
function plain(cell) {
  return cell.replaceAll(/[*`]/g, "").trim();
}

/**
 * Small letters and hyphens, without what stands in brackets: "W2A16 g64 (asym)" is "w2a16-g64".
 * @param {string} text
 */
function slug(text) {
  return plain(text)
    .toLowerCase()
    .replaceAll(/\([^)]*\)/g, "")
    .replaceAll(/(\d),(\d)/g, "$1$2")
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}
