import type { LogitsComparison } from "../../evaluate/compare-logits.js";
import { someNames } from "../../network/index.js";
import type { CensusRecord } from "../events/census-record.js";
import { code, cell as escaped } from "../result/markdown.js";
import type { Certificate, ExportCertificate, RuntimeVerdict } from "./certificate.js";
import { verdictTitle } from "./verdict.js";

/** The certificate as one page of Markdown. */
export function certificatePage(certificate: Certificate): string {
  const { result, scheme, census, verdict, version, created, exports } = certificate;
  return [
    `# Certificate: ${verdictTitle(verdict)}`,
    "",
    ...verdict.lines.map((line) => `- ${escaped(line)}`),
    "",
    `Result ${code(result)}${scheme === null ? "" : `, ${scheme}`}; checked by crossblock ${version}, ${created}.`,
    "Every file was read back by a decoder that was written from the format's specification, not from its writer.",
    "Hashes of all codes and scales are in `certificate.json`.",
    "",
    ...(census === null ? [] : censusSection(census)),
    ...filesTable(exports),
    ...disagreementsTable(exports),
    ...notesList(exports),
    ...exports.flatMap(runtimeSection),
  ].join("\n");
}

/** What the network computes with, and what else the model holds. */
function censusSection({ quantized, computed, leftOut }: CensusRecord): string[] {
  const counted = `The network computes with ${quantized} quantized Linears and ${computed} tensors as they are.`;
  if (leftOut.length === 0) return [`${counted} The model holds no other.`, ""];
  return [
    `${counted} These tensors of the model take part in nothing:`,
    "",
    "| tensors | what they are |",
    "|---|---|",
    ...leftOut.map(({ tensors, what }) => `| ${tensors.length}: ${code(someNames(tensors))} | ${escaped(what)} |`),
    "",
  ];
}

/** What the table of files says of each; a column that is empty for all is left out. */
const columns: readonly (readonly [title: string, of: (checked: ExportCertificate) => string])[] = [
  ["format", ({ format }) => format],
  ["place", ({ path }) => code(path)],
  ["files", ({ filesAgree }) => (filesAgree ? "agree" : "**disagree**")],
  ["runtime", ({ runtimesAgree }) => (runtimesAgree === null ? "not run" : runtimesAgree ? "agrees" : "**disagrees**")],
  [
    "identical parts",
    ({ tensors }) => `${tensors.filter(({ status }) => status === "same").length} of ${tensors.length}`,
  ],
  ["by hashes of codes and scales", ({ tensors }) => `${tensors.filter(({ hash }) => hash !== undefined).length}`],
  ["rounded as asked", roundedText],
  ["not quantized, compared with", ({ untouched }) => `${untouched.tensors}, ${untouched.comparedWith}`],
  ["not read by the network", ({ leftOut }) => keptText(leftOut)],
  ["bytes", ({ bytes }) => (bytes === null ? "unknown" : `${bytes}`)],
  ["planned", ({ bytes, plannedBytes }) => (bytes === plannedBytes ? "" : `${plannedBytes}`)],
];

function filesTable(exports: readonly ExportCertificate[]): string[] {
  const shown = columns.filter(([, of]) => exports.some((checked) => of(checked) !== ""));
  return [
    `| ${shown.map(([title]) => title).join(" | ")} |`,
    `|${"---|".repeat(shown.length)}`,
    ...exports.map((checked) => `| ${shown.map(([, of]) => of(checked)).join(" | ")} |`),
    "",
  ];
}

function roundedText({ tensors }: ExportCertificate): string {
  const lossy = tensors.filter(({ status }) => status === "lossy");
  if (lossy.length === 0) return "";
  const worst = Math.max(0, ...lossy.map(({ relativeError }) => relativeError ?? 0));
  return `${lossy.length}; relative squared error at most ${worst.toPrecision(2)}`;
}

function keptText({ kept, omitted }: ExportCertificate["leftOut"]): string {
  const parts = [...(kept > 0 ? [`${kept} kept unchanged`] : []), ...(omitted > 0 ? [`${omitted} left out`] : [])];
  return parts.join(", ");
}

function disagreementsTable(exports: readonly ExportCertificate[]): string[] {
  const rows = exports.flatMap(({ format, disagreements }) =>
    disagreements.map(({ tensor, what }) => `| ${format} | ${code(tensor)} | ${escaped(what)} |`),
  );
  return rows.length === 0 ? [] : ["| format | disagrees | how |", "|---|---|---|", ...rows, ""];
}

/** Notes of several formats are told once. */
function notesList(exports: readonly ExportCertificate[]): string[] {
  const formats = new Map<string, string[]>();
  for (const { format, notes } of exports) {
    for (const note of new Set(notes)) formats.set(note, [...(formats.get(note) ?? []), format]);
  }
  const lines = [...formats].map(([note, names]) => `- ${names.join(", ")}: ${escaped(note)}`);
  return lines.length === 0 ? [] : [...lines, ""];
}

/** What an independent runtime said, in a sentence. */
export function runtimeSentence(runtime: RuntimeVerdict): string {
  if (runtime.status === "absent") return `not run: ${runtime.why}`;
  if ("outputs" in runtime) {
    const { relativeError } = runtime.outputs;
    return `${runtime.runtime} ${runtime.status}: relative error of outputs ${relativeError.toExponential(1)} on ${runtime.examples} fixed examples`;
  }
  const { runtime: name, asWritten, sameWeights, tokens, texts } = runtime;
  const apart =
    sameWeights === null ? "" : `; ${sameWeights.divergence.toExponential(1)} with the same weights in fp32`;
  const cut =
    texts === null ? "" : `; ${texts.compared - texts.different} of ${texts.compared} texts cut into the same tokens`;
  return (
    `${name} ${runtime.status}: KL divergence ${asWritten.divergence.toExponential(1)} nats per token${apart}, ` +
    `same most likely token at ${(asWritten.topAgreement * 100).toFixed(1)} % of ${tokens} positions${cut}`
  );
}

function runtimeSection({ format, runtime }: ExportCertificate): string[] {
  if (runtime.status === "absent") return [];
  if ("outputs" in runtime) {
    return [
      `## ${format}: ${runtime.runtime}`,
      "",
      `${escaped(runtimeSentence(runtime))}, against crossblock's own network of the same file. ${escaped(runtime.note)}.`,
      "",
    ];
  }
  const row = (name: string, c: LogitsComparison): string =>
    `| ${name} | ${c.divergence.toExponential(2)} | ${c.largestDifference.toPrecision(3)} | ` +
    `${(c.topAgreement * 100).toFixed(1)} % | ${(c.perplexity / c.referencePerplexity).toFixed(5)} |`;
  return [
    `## ${format}: ${runtime.runtime}`,
    "",
    `${escaped(runtimeSentence(runtime))}.`,
    "",
    `Logits on ${runtime.tokens} fixed tokens against crossblock's own network in fp32, which say whether both compute the`,
    `same and nothing of how good the model is. ${runtime.note}: the first row contains that, the second does not, so`,
    "that it alone speaks of the codes.",
    "",
    "| | KL divergence, nats per token | largest difference | same top token | perplexity, as a multiple of crossblock's |",
    "|---|---|---|---|---|",
    row("the export", runtime.asWritten),
    ...(runtime.sameWeights === null ? [] : [row("the same weights in fp32", runtime.sameWeights)]),
    "",
  ];
}
