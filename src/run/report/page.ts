import { createHash } from "node:crypto";
import { html } from "./html.js";
import { certificate } from "./parts/certificate.js";
import { experts } from "./parts/experts.js";
import { head } from "./parts/head.js";
import { heatMap } from "./parts/heat-map.js";
import { histograms } from "./parts/histograms.js";
import { linears } from "./parts/linears.js";
import { losses } from "./parts/losses.js";
import { quality } from "./parts/quality.js";
import { samples } from "./parts/samples.js";
import { sizes } from "./parts/sizes.js";
import { timeline } from "./parts/timeline.js";
import { warnings } from "./parts/warnings.js";
import type { CertifiedFormat, ReportRecord } from "./report-record.js";
import { script } from "./script.js";
import { style } from "./style.js";

/**
 * A result as one page: no other file, no network, nothing that runs but the script in it, which the page's own policy names by
 * its hash.
 *
 * @param certified what `verify` found; null before it ran
 */
export function reportPage(record: ReportRecord, certified: readonly CertifiedFormat[] | null): string {
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src '${hashOf(script.text)}'; base-uri 'none'; form-action 'none'`;
  const title = `${record.name ?? "a model"}, ${record.scheme}: crossblock report`;
  const page = html`<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="crossblock ${record.version ?? ""}">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
${head(record)}
<div class="sections">
<div class="column">${quality(record)}${sizes(record)}</div>
<div class="column">${losses(record)}${timeline(record)}</div>
<div class="wide">${samples(record)}</div>
<div class="column">${heatMap(record)}</div>
<div class="column">${linears(record)}</div>
<div class="wide">${experts(record)}${histograms(record)}${certificate(record, certified)}${warnings(record)}</div>
</div>
<footer>Written by crossblock from <code>crossblock.json</code>, which has every number of this page.</footer>
</main>
<script>${script}</script>
</body>
</html>`;
  return `<!doctype html>\n${page.text}\n`;
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
