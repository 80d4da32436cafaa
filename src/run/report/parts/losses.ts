import { figures } from "../figures.js";
import { html, type Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { missing, section } from "./section.js";

type WindowOf = ReportRecord["windows"][number];

/** The loss of each window before and after its training, with the curve of its steps. */
export function losses({ windows, recipe }: ReportRecord): Markup {
  const trained = windows.filter(({ lossBefore, lossAfter }) => lossBefore !== null || lossAfter !== null);
  if (trained.length === 0) {
    const why = recipe === null ? "No window was trained." : `Nothing is trained by the recipe ${recipe}.`;
    return section("windows", "Windows", null, missing(`${why} The errors of its Linears are below.`));
  }
  const all = trained.flatMap(({ lossBefore, lossAfter }) => [lossBefore?.total, lossAfter?.total]).filter(isPositive);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const at = (value: number): number =>
    high === low ? 50 : 2 + (96 * (Math.log(value) - Math.log(low))) / (Math.log(high) - Math.log(low));
  return section(
    "windows",
    "Windows",
    "Loss before (hollow) and after (filled) training, on a logarithmic scale. A window opens to the losses of its steps.",
    html`<div class="windows">${trained.map((window) => row(window, at))}</div>`,
  );
}

function row(
  { window, blocks: [first, last], lossBefore, lossAfter, losses: curve, seconds }: WindowOf,
  at: (value: number) => number,
): Markup {
  const [before, after] = [lossBefore?.total ?? null, lossAfter?.total ?? null];
  const places = [before, after].filter(isPositive).map(at);
  const left = Math.min(...places);
  const ratio =
    isPositive(before) && isPositive(after)
      ? `${(((after - before) / before) * 100).toFixed(0)} %`.replace("-", "−")
      : "";
  const shown = (value: number | null): string => (value === null ? "–" : figures.loss(value));
  return html`<details class="window"><summary><span class="window-name">${window + 1}<span class="small"> ${
    first === last ? `block ${first + 1}` : `blocks ${first + 1}–${last + 1}`
  }</span></span><span class="dumbbell" aria-hidden="true">${
    places.length === 2
      ? html`<span class="rod" style="left:${figures.place(left)}%;width:${figures.place(Math.max(...places) - left)}%"></span>`
      : null
  }${isPositive(before) ? html`<span class="dot before" style="left:${figures.place(at(before))}%"></span>` : null}${
    isPositive(after) ? html`<span class="dot after" style="left:${figures.place(at(after))}%"></span>` : null
  }</span><span class="window-loss">${shown(before)} → ${shown(after)}</span><span class="window-ratio">${ratio}</span><span class="window-time">${figures.seconds(seconds)}</span></summary>${
    curve === null || curve.means.length < 2 ? missing("The losses of its steps are not recorded.") : chart(curve)
  }</details>`;
}

const [width, height] = [640, 150];

function chart({ steps, means }: NonNullable<WindowOf["losses"]>): Markup {
  const values = means.filter((mean): mean is number => mean !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (i: number): number => (i / Math.max(1, means.length - 1)) * width;
  const y = (value: number): number =>
    high === low ? height / 2 : height - 4 - ((value - low) / (high - low)) * (height - 8);
  const points = means.flatMap((mean, i) =>
    mean === null ? [] : [`${figures.place(x(i))},${figures.place(y(mean))}`],
  );
  const label = `loss of ${steps} steps: from ${figures.loss(values[0] ?? Number.NaN)} to ${figures.loss(values.at(-1) ?? Number.NaN)}, at least ${figures.loss(low)}`;
  return html`<figure class="curve"><svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${label}"><polyline points="${points.join(" ")}" vector-effect="non-scaling-stroke"/></svg><figcaption><span>${figures.loss(high)} at most</span><span>${figures.count(steps)} steps</span><span>${figures.loss(low)} at least</span></figcaption></figure>`;
}

function isPositive(value: number | null | undefined): value is number {
  return value !== null && value !== undefined && Number.isFinite(value) && value > 0;
}
