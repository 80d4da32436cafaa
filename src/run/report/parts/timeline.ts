import { figures } from "../figures.js";
import { html, type Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { missing, section } from "./section.js";

/** What the time went to. */
export function timeline({ timeline: stages, windows }: ReportRecord): Markup {
  const title = "Time";
  if (stages === null || stages.length === 0) {
    const sum = windows.reduce((total, { seconds }) => total + seconds, 0);
    const known = sum === 0 ? "" : ` Its windows took ${figures.seconds(sum)}.`;
    return section(
      "time",
      title,
      null,
      missing(`No stages are recorded: this result was made by an earlier version.${known}`),
    );
  }
  const total = stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const share = (seconds: number): string => figures.place((seconds / Math.max(total, 1e-9)) * 100);
  return section(
    "time",
    title,
    `${figures.seconds(total)} of work; time in which the run was stopped is left out.`,
    html`<div class="strip" aria-hidden="true">${stages.map(
      ({ stage, seconds }, i) =>
        html`<span class="part-${i % 6}" style="width:${share(seconds)}%" title="${stage}: ${figures.seconds(seconds)}"></span>`,
    )}</div><ol class="stages">${stages.map(
      ({ stage, start, seconds }, i) =>
        html`<li><span class="swatch part-${i % 6}" aria-hidden="true"></span><span>${stage}</span><span class="number">${figures.seconds(seconds)}</span><time class="small" datetime="${start}">${start.slice(11, 19)}</time></li>`,
    )}</ol>`,
  );
}
