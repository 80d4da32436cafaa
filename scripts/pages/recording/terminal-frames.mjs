/** Turns what programs write to a terminal into pictures of its screen. */
import xterm from "@xterm/headless";

/**
 * @typedef {{ readonly column: number, readonly text: string, readonly width: number, readonly color: string | null, readonly bold: boolean, readonly dim: boolean }} Run
 *   characters of one look, from this column on
 * @typedef {readonly Run[]} Row
 * @typedef {{ readonly at: number, readonly clock: number, readonly rows: readonly Row[] }} Frame a screen from `at` on, in seconds
 *   of the film; `clock` is the real time then
 */

const palette = ["#6e7681", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#e6edf3"];

/** A terminal without a window. */
export class TerminalFrames {
  /** @type {Frame[]} */
  frames = [];
  #terminal;
  #last = "";

  /** @param {{ columns: number, rows: number }} size */
  constructor({ columns, rows }) {
    this.#terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 0 });
  }

  /**
   * Writes to the terminal, and keeps its screen where it is another.
   * @param {string} text @param {number} at @param {number} clock
   */
  async write(text, at, clock) {
    await new Promise((resolve) => this.#terminal.write(text, () => resolve(undefined)));
    const rows = this.#screen();
    const key = JSON.stringify(rows);
    if (key !== this.#last) this.frames.push({ at, clock, rows });
    this.#last = key;
  }

  /** @returns {Row[]} */
  #screen() {
    const { active } = this.#terminal.buffer;
    return Array.from({ length: this.#terminal.rows }, (_, y) => {
      /** @type {Run[]} */
      const runs = [];
      const line = active.getLine(active.baseY + y);
      for (let column = 0; column < this.#terminal.cols; column++) {
        const cell = line?.getCell(column);
        const width = cell?.getWidth() ?? 0;
        if (cell === undefined || width === 0) continue;
        const text = cell.getChars() || " ";
        const color = cell.isFgPalette() ? (palette[cell.getFgColor() % 8] ?? null) : null;
        const look = { color, bold: cell.isBold() !== 0, dim: cell.isDim() !== 0 };
        const before = runs.at(-1);
        const same =
          before !== undefined && before.color === color && before.bold === look.bold && before.dim === look.dim;
        // Wide characters stand alone, so that a font of another width moves nothing behind them.
        if (same && width === 1 && before.column + before.width === column && before.text.length === before.width) {
          runs[runs.length - 1] = { ...before, text: before.text + text, width: before.width + 1 };
        } else runs.push({ column, text, width, ...look });
      }
      return runs.map(trimmed).filter(({ text }) => text !== "");
    });
  }
}

/** @param {Run} run @returns {Run} without spaces at its ends */
function trimmed(run) {
  const begin = run.text.length - run.text.trimStart().length;
  const text = run.text.trim();
  return { ...run, column: run.column + begin, text, width: text.length === run.text.length ? run.width : text.length };
}
