import { html, type Markup } from "../html.js";
import type { CertifiedFormat, ReportRecord } from "../report-record.js";
import { missing, section } from "./section.js";

/** Formats by what was checked of them; before `verify` ran there is nothing to tell. */
export function certificate({ sizes }: ReportRecord, found: readonly CertifiedFormat[] | null): Markup {
  const title = "Certificate";
  if (found === null) {
    const formats = sizes?.formats.map(({ format }) => format) ?? [];
    return section(
      "certificate",
      title,
      null,
      html`${missing("Not verified yet: crossblock verify reads every file back and asks the runtimes that are installed.")}${
        formats.length === 0
          ? null
          : grid(
              formats.map((format) => [
                format,
                tile("open", "files", "not verified"),
                tile("open", "runtime", "not asked"),
                tile("open", "KL", "–"),
              ]),
            )
      }`,
    );
  }
  return section(
    "certificate",
    title,
    "What reading every file back found, and what an independent runtime computes from it.",
    grid(
      found.map(({ format, agrees, same, lossy, tensors, runtime }) => [
        format,
        tile(
          agrees ? "good" : "bad",
          "files",
          agrees
            ? `${same} of ${tensors} identical${lossy > 0 ? `, ${lossy} rounded as asked` : ""}`
            : "something disagrees",
        ),
        tile(
          runtime.status === "agrees" ? "good" : runtime.status === "disagrees" ? "bad" : "open",
          "runtime",
          runtime.said,
        ),
        tile(
          runtime.divergence === null ? "open" : runtime.status === "disagrees" ? "bad" : "good",
          "KL",
          runtime.divergence === null ? "not computed" : `${runtime.divergence.toExponential(1)} nats a token`,
        ),
      ]),
    ),
  );
}

function grid(rows: readonly (readonly [string, Markup, Markup, Markup])[]): Markup {
  return html`<div class="tiles">${rows.map(
    ([format, ...tiles]) => html`<h3 class="tile-name">${format}</h3>${tiles}`,
  )}</div>`;
}

const signs = { good: "✓", bad: "✗", open: "○" } as const;
const words = { good: "agrees", bad: "disagrees", open: "open" } as const;

function tile(kind: keyof typeof signs, name: string, said: string): Markup {
  return html`<div class="tile ${kind}"><span class="sign" aria-label="${words[kind]}" role="img">${signs[kind]}</span><span><b>${name}</b> ${said}</span></div>`;
}
