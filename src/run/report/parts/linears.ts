import type { LinearRecord } from "../../result/result-details.js";
import { figures } from "../figures.js";
import { html, type Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { missing, section } from "./section.js";

/** Rows that are shown before the rest is asked for. */
const FIRST = 12;

/** Linears by error, the largest first, with what they take: where bits would help most. */
export function linears({ linears: all }: ReportRecord): Markup {
  const title = "Linears by error";
  const known = (all ?? []).filter(({ relativeError }) => relativeError !== null);
  if (known.length === 0) return section("linears", title, null, missing("No error of any Linear is known."));
  const sorted = [...known].sort((a, b) => (b.relativeError ?? 0) - (a.relativeError ?? 0));
  const most = {
    error: sorted[0]?.relativeError ?? 0,
    bytes: Math.max(...sorted.map(({ bytes }) => bytes)),
  };
  const rest = sorted.slice(FIRST);
  return section(
    "linears",
    title,
    "Where more bits would help most: the largest errors, beside what each Linear takes.",
    html`${table(sorted.slice(0, FIRST), most)}${
      rest.length === 0 ? null : html`<details><summary>${rest.length} more</summary>${table(rest, most)}</details>`
    }`,
  );
}

function table(list: readonly LinearRecord[], most: { readonly error: number; readonly bytes: number }): Markup {
  return html`<div class="scroll"><table class="linears"><thead><tr><th scope="col">Linear</th><th scope="col" colspan="2">error</th><th scope="col" colspan="2">size</th><th scope="col">bits</th></tr></thead><tbody>${list.map(
    ({ name, relativeError, bytes, bits }) =>
      html`<tr><th scope="row">${shortened(name)}</th><td class="number">${figures.percent(relativeError ?? 0)}</td>${meter(relativeError ?? 0, most.error, "error")}<td class="number">${figures.bytes(bytes)}</td>${meter(bytes, most.bytes, "plain")}<td class="number">${bits}</td></tr>`,
  )}</tbody></table></div>`;
}

function meter(value: number, most: number, kind: string): Markup {
  const share = most > 0 ? (value / most) * 100 : 0;
  return html`<td class="meter" aria-hidden="true"><span class="${kind}" style="width:${figures.place(share)}%"></span></td>`;
}

// Every name of a model begins alike.
function shortened(name: string): Markup {
  const bare = name.replace(/^model\.(decoder\.)?layers\./, "");
  return html`<span title="${name}">${bare}</span>`;
}
