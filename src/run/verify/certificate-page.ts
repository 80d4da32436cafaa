import type { LogitsComparison } from "../../evaluate/compare-logits.js";
import { someNames } from "../../network/index.js";
import type { CensusRecord } from "../events/census-record.js";
import type { Certificate, ExportCertificate, RuntimeVerdict } from "./certificate.js";

/** The certificate as one page of Markdown. */
export function certificatePage(certificate: Certificate): string {
  const { result, scheme, census, agrees, version, created, exports } = certificate;
  return [
    `# Certificate: ${agrees ? "everything agrees" : "something disagrees"}`,
    "",
    `Result ${code(result)}${scheme === null ? "" : `, ${scheme}`}; checked by crossblock ${version}, ${created}.`,
    "Every file was read back by a decoder that was written from the format's specification, not from its writer.",
    "Hashes of all codes and scales are in `certificate.json`.",
    "",
    ...(census === null ? [] : censusSection(census)),
    ...exports.flatMap(exportSection),
    "",
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
    ...leftOut.map(({ tensors, what }) => `| ${tensors.length}: ${code(someNames(tensors))} | ${cell(what)} |`),
    "",
  ];
}

function exportSection(checked: ExportCertificate): string[] {
  const { format, path, agrees, plannedBytes, bytes, untouched, leftOut, disagreements, notes, runtime, tensors } =
    checked;
  const count = (status: string): number => tensors.filter((tensor) => tensor.status === status).length;
  const lossy = tensors.filter(({ status }) => status === "lossy");
  const coded = tensors.filter(({ hash }) => hash !== undefined).length;
  const worst = Math.max(0, ...lossy.map(({ relativeError }) => relativeError ?? 0));
  const rows: readonly (readonly [string, string])[] = [
    ["verdict", agrees ? "agrees" : "**disagrees**"],
    ["identical", `${count("same")} of ${tensors.length} parts, ${coded} of them by hashes of codes and scales`],
    ...(lossy.length === 0
      ? []
      : [["rounded as asked", `${lossy.length}; relative squared error at most ${worst.toPrecision(2)}`] as const]),
    ["not quantized", `${untouched.tensors} tensors, compared with: ${untouched.comparedWith}`],
    ...(leftOut.kept + leftOut.omitted === 0 ? [] : [["not read by the network", keptText(leftOut)] as const]),
    ["size", bytes === null ? "unknown" : `${bytes} bytes, planned ${plannedBytes}`],
    ["runtime", runtimeSentence(runtime)],
    ...notes.map((note) => ["note", note] as const),
  ];
  return [
    `## ${format}`,
    "",
    code(path),
    "",
    "| | |",
    "|---|---|",
    ...rows.map(([name, value]) => `| ${name} | ${cell(value)} |`),
    "",
    ...logitsTable(runtime),
    ...(disagreements.length === 0 ? [] : ["| disagrees | how |", "|---|---|"]),
    ...disagreements.map(({ tensor, what }) => `| ${code(tensor)} | ${cell(what)} |`),
    ...(disagreements.length === 0 ? [] : [""]),
  ];
}

function keptText({ kept, omitted }: ExportCertificate["leftOut"]): string {
  const parts = [...(kept > 0 ? [`${kept} kept unchanged`] : []), ...(omitted > 0 ? [`${omitted} left out`] : [])];
  return parts.join(", ");
}

/** What an independent runtime said, in a sentence. */
export function runtimeSentence(runtime: RuntimeVerdict): string {
  if (runtime.status === "absent") return `not run: ${runtime.why}`;
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

function logitsTable(runtime: RuntimeVerdict): string[] {
  if (runtime.status === "absent") return [];
  const row = (name: string, c: LogitsComparison): string =>
    `| ${name} | ${c.divergence.toExponential(2)} | ${c.largestDifference.toPrecision(3)} | ` +
    `${(c.topAgreement * 100).toFixed(1)} % | ${c.perplexity.toFixed(3)} | ${c.referencePerplexity.toFixed(3)} |`;
  return [
    `Logits on ${runtime.tokens} fixed tokens against crossblock's own network in fp32. ${runtime.note}: the first row`,
    "contains that, the second does not, so that it alone speaks of the codes.",
    "",
    "| | KL divergence, nats per token | largest difference | same top token | perplexity | crossblock's |",
    "|---|---|---|---|---|---|",
    row("the export", runtime.asWritten),
    ...(runtime.sameWeights === null ? [] : [row("the same weights in fp32", runtime.sameWeights)]),
    "",
  ];
}

function code(text: string): string {
  return `\`${text.replaceAll("`", "'")}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
