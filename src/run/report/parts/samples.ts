import { html, type Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { missing, section } from "./section.js";

/** What source, result and round to nearest write behind the same prompt. */
export function samples({ samples: found, samplesMissing }: ReportRecord): Markup {
  const title = "Sample texts";
  if (found === null || found.length === 0) {
    const why = samplesMissing ?? "this result was made by a version that wrote none";
    return section("samples", title, null, missing(`Not written: ${why}.`));
  }
  return section(
    "samples",
    title,
    "The likeliest token each time, so that nothing here is chance. Where two differ, small errors decided a near tie.",
    found.map(
      ({ prompt, source, result, roundToNearest }) =>
        html`<div class="sample"><p class="prompt">${prompt}</p><div class="texts">${text("source", "source", source)}${text("this result", "result", result)}${
          roundToNearest === null ? null : text("round to nearest", "nearest", roundToNearest)
        }</div></div>`,
    ),
  );
}

function text(name: string, kind: string, written: string): Markup {
  return html`<figure class="text ${kind}"><figcaption>${name}</figcaption><p>${
    written.trim() === "" ? html`<span class="small">nothing: it ended at once</span>` : written.trimStart()
  }</p></figure>`;
}
