/** Writes pictures of a terminal as one SVG that plays by itself, without a script: SMIL, which also plays inside `<img>`. */

/** Width and height of a character, and the frame around the screen, in pixels. */
const CELL = { width: 7.8, height: 17 };
const EDGE = { side: 14, top: 38, bottom: 12 };
/** Seconds that the last picture stays. */
const LAST = 6;

/**
 * Every row is drawn once for each stretch of time in which it stays the same. The rows of the last picture show where nothing is
 * animated.
 * @param {readonly import("./terminal-frames.mjs").Frame[]} frames
 * @param {{ title: string, columns: number, rows: number }} options
 * @returns {string}
 */
export function animatedSvg(frames, { title, columns, rows }) {
  const end = (frames.at(-1)?.at ?? 0) + LAST;
  const width = round(columns * CELL.width + 2 * EDGE.side);
  const height = rows * CELL.height + EDGE.top + EDGE.bottom;
  const screen = Array.from({ length: rows }, (_, y) =>
    stretches(frames, end, (frame) => rowSvg(frame.rows[y] ?? [], y)),
  ).flat();
  const clocks = stretches(frames, end, ({ clock }) =>
    text({ x: width - EDGE.side, y: 24, look: ' text-anchor="end"' }, time(clock)),
  );
  const dots = ["#ff5f57", "#febc2e", "#28c840"].map(
    (color, i) => `<circle cx="${20 + 18 * i}" cy="19" r="5.5" fill="${color}"/>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    '<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;fill:#e6edf3;white-space:pre}',
    ".b{font-weight:700}.d{opacity:.62}.h{visibility:hidden}.t,.t text{fill:#9198a1}</style>",
    `<rect width="${width}" height="${height}" rx="9" fill="#0d1117"/>`,
    ...dots,
    `<text class="t" x="${round(width / 2)}" y="24" text-anchor="middle">${escaped(title)}</text>`,
    // The clock of the film: when it ends everything begins anew.
    `<rect width="0" height="0"><animate id="f" attributeName="x" from="0" to="0" dur="${round(end)}s" begin="0s;f.end"/></rect>`,
    ...screen,
    `<g class="t">`,
    ...clocks,
    "</g></svg>\n",
  ].join("\n");
}

/**
 * @param {readonly import("./terminal-frames.mjs").Frame[]} frames
 * @param {number} end
 * @param {(frame: import("./terminal-frames.mjs").Frame) => string} draw
 * @returns {string[]} each drawing with the time in which it shows
 */
function stretches(frames, end, draw) {
  /** @type {{ drawing: string, from: number, to: number }[]} */
  const found = [];
  for (const [i, frame] of frames.entries()) {
    const drawing = draw(frame);
    const to = frames[i + 1]?.at ?? end;
    const before = found.at(-1);
    if (before?.drawing === drawing) before.to = to;
    else found.push({ drawing, from: frame.at, to });
  }
  return (
    found
      // What no time is left for would show for ever.
      .filter(({ drawing, from, to }) => drawing !== "" && round(to - from) > 0)
      .map(({ drawing, from, to }) => {
        if (to < end) return `<g class="h">${drawing}${set("visible", from, to)}</g>`;
        return from === 0 ? drawing : `<g>${drawing}${set("hidden", 0, from)}</g>`;
      })
  );
}

/** @param {string} to @param {number} from @param {number} until @returns {string} */
function set(to, from, until) {
  const begin = from === 0 ? "f.begin" : `f.begin+${round(from)}s`;
  return `<set attributeName="visibility" to="${to}" begin="${begin}" dur="${round(until - from)}s"/>`;
}

/** @param {import("./terminal-frames.mjs").Row} row @param {number} y @returns {string} */
function rowSvg(row, y) {
  return row
    .map((run) => {
      const names = [run.bold ? "b" : "", run.dim ? "d" : ""].filter((name) => name !== "").join(" ");
      const look = [
        names === "" ? "" : ` class="${names}"`,
        run.color === null ? "" : ` style="fill:${run.color}"`,
        // Columns stay columns in every font.
        ` textLength="${round(run.width * CELL.width)}" lengthAdjust="spacingAndGlyphs"`,
      ].join("");
      const x = round(EDGE.side + run.column * CELL.width);
      return text({ x, y: EDGE.top + (y + 1) * CELL.height - 4, look }, run.text);
    })
    .join("");
}

/** @param {{ x: number, y: number, look: string }} where @param {string} content @returns {string} */
function text({ x, y, look }, content) {
  return `<text x="${x}" y="${y}"${look}>${escaped(content)}</text>`;
}

/** @param {number} seconds @returns {string} */
function time(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${`${whole % 60}`.padStart(2, "0")}`;
}

/** @param {number} value @returns {number} */
function round(value) {
  return Math.round(value * 100) / 100;
}

/** @param {string} content @returns {string} */
function escaped(content) {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
