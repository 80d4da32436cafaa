import type { LinearRecord } from "../../result/result-details.js";
import { figures } from "../figures.js";
import { html, type Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { missing, section } from "./section.js";

/** How often each code occurs, for each kind of Linear over all blocks. */
export function histograms({ linears }: ReportRecord): Markup {
  const groups = new Map<string, LinearRecord[]>();
  for (const linear of linears ?? []) {
    if (linear.codes.length === 0) continue;
    const key = `${linear.role} ${linear.bits} ${linear.codes.length}`;
    groups.set(key, [...(groups.get(key) ?? []), linear]);
  }
  const title = "Codes";
  if (groups.size === 0) {
    return section("codes", title, null, missing("Not recorded: this result was made by an earlier version."));
  }
  return section(
    "codes",
    title,
    "How often each code occurs, over all blocks, from a sample of rows. A scheme that uses its codes well fills all of them.",
    html`<div class="histograms">${[...groups.values()].map(histogram)}</div>`,
  );
}

const [width, height] = [160, 56];

function histogram(group: readonly LinearRecord[]): Markup {
  const [first] = group;
  if (first === undefined) return html``;
  const counts = first.codes.map((_, i) => group.reduce((sum, { codes }) => sum + (codes[i] ?? 0), 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const most = Math.max(1, ...counts);
  const step = width / counts.length;
  const scales = group.flatMap(({ scales: range }) => range ?? []).map(Math.abs);
  const perBar = 2 ** first.bits / counts.length;
  const label = counts
    .map((count, i) => `${Math.round(i * perBar)}: ${figures.percent(count / Math.max(1, total))}`)
    .join(", ");
  return html`<figure class="histogram"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${first.role}, ${first.bits} bits: ${label}">${counts.map(
    (count, i) => {
      const bar = (count / most) * (height - 2);
      return html`<rect x="${figures.place(i * step)}" y="${figures.place(height - bar)}" width="${figures.place(Math.max(0.5, step - Math.min(1.5, step / 4)))}" height="${figures.place(bar)}"><title>code ${Math.round(i * perBar)}: ${figures.percent(count / Math.max(1, total))}</title></rect>`;
    },
  )}</svg><figcaption><b>${first.role}</b> <span class="small">${first.bits} bits${
    scales.length === 0 ? "" : `, scales to ${Math.max(...scales).toPrecision(2)}`
  }</span></figcaption></figure>`;
}
