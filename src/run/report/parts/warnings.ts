import { html, type Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { missing, section } from "./section.js";

/** What the run warned of, with what to do about it. */
export function warnings({ warnings: list }: ReportRecord): Markup {
  if (list.length === 0) return section("warnings", "Warnings", null, missing("None."));
  return section(
    "warnings",
    "Warnings",
    null,
    html`<ul class="warnings">${list.map(
      ({ message, where, next }) => html`<li><p>${message}</p><p class="small">${where} · ${next}</p></li>`,
    )}</ul>`,
  );
}
