import { isOfText, outputsText, type Scores } from "../result/result-quality.js";
import type { ExportCertificate } from "./certificate.js";

/** What a certificate says, in three lines. */
export interface CertificateVerdict {
  readonly files: "agree" | "disagree";
  /** `none ran` is no agreement: then nobody but crossblock has read the files. */
  readonly runtimes: "agree" | "disagree" | "none ran";
  /** Whether the result's record tells what was lost. */
  readonly quality: "measured" | "not measured";
  /** A sentence on each of them, in this order. */
  readonly lines: readonly [files: string, runtimes: string, quality: string];
}

/**
 * @param quality as `crossblock.json` records it; null where nothing was scored
 * @param missing why nothing was, where that is recorded
 */
export function verdictOf(
  exports: readonly ExportCertificate[],
  quality: Scores | null,
  missing: string | null = null,
): CertificateVerdict {
  const wrong = exports.filter(({ filesAgree }) => !filesAgree);
  const ran = exports.filter(({ runtimesAgree }) => runtimesAgree !== null);
  const failed = ran.filter(({ runtimesAgree }) => runtimesAgree === false);
  return {
    files: wrong.length === 0 ? "agree" : "disagree",
    runtimes: failed.length > 0 ? "disagree" : ran.length > 0 ? "agree" : "none ran",
    quality: quality === null ? "not measured" : "measured",
    lines: [
      wrong.length === 0
        ? `files agree: ${named(exports)} hold what was optimised`
        : `files disagree: ${faults(wrong)}`,
      runtimesLine(exports, ran, failed),
      qualityLine(exports, quality, missing),
    ],
  };
}

/** The verdict in a few words, for a heading. */
export function verdictTitle({ files, runtimes }: Pick<CertificateVerdict, "files" | "runtimes">): string {
  if (files === "disagree") return "files disagree";
  return {
    agree: "files and runtimes agree",
    disagree: "a runtime disagrees",
    "none ran": "files agree, no runtime ran",
  }[runtimes];
}

/** What was lost, in one line. */
function qualityLine(exports: readonly ExportCertificate[], quality: Scores | null, missing: string | null): string {
  if (quality === null) {
    const why = missing === null ? "" : ` (${missing})`;
    const isGraph = exports.some(({ format }) => format === "qdq");
    return `quality was not measured${why}; crossblock eval measures it on ${isGraph ? "images or tensors, with --images and --reference" : "a text"}`;
  }
  if (!isOfText(quality)) return `quality: ${outputsText(quality)}, on ${quality.count} ${quality.examples}`;
  const { perplexity, divergence, tokens, text } = quality;
  const rounded = perplexity.roundToNearest;
  const nearest = rounded === null || rounded === perplexity.result ? "" : ` (round to nearest ${rounded.toFixed(2)})`;
  return (
    `quality: perplexity ${perplexity.source.toFixed(2)} -> ${perplexity.result.toFixed(2)}${nearest}, ` +
    `KL divergence ${divergence.toPrecision(2)} nats per token, on ${tokens} tokens of ${text}`
  );
}

function runtimesLine(
  exports: readonly ExportCertificate[],
  ran: readonly ExportCertificate[],
  failed: readonly ExportCertificate[],
): string {
  if (failed.length > 0) return `runtimes disagree: ${faults(failed)}`;
  const silent = exports.filter(({ runtimesAgree }) => runtimesAgree === null).slice(1);
  const reasons = new Map<string, string[]>();
  for (const { format, runtime } of silent) {
    const why = runtime.status === "absent" ? (runtime.why.split("; ")[0] ?? "") : "";
    reasons.set(why, [...(reasons.get(why) ?? []), format]);
  }
  const not = [...reasons].map(([why, formats]) => `${formats.join(", ")}: ${why}`).join("; ");
  if (ran.length === 0) return `no runtime ran${not === "" ? ": there is no export that one could run" : ` (${not})`}`;
  const who = ran.map(
    ({ format, runtime }) => `${runtime.status === "absent" ? "" : `${runtime.runtime} on `}${format}`,
  );
  return `runtimes agree: ${who.join(", ")}${not === "" ? "" : `; not run: ${not}`}`;
}

function faults(exports: readonly ExportCertificate[]): string {
  const all = exports.flatMap(({ format, disagreements }) => disagreements.map((found) => ({ format, ...found })));
  const [first] = all;
  if (first === undefined) return named(exports);
  const more = all.length > 1 ? `, and ${all.length - 1} more` : "";
  return `${first.format}: ${first.tensor}: ${first.what}${more}`;
}

function named(exports: readonly ExportCertificate[]): string {
  return [...new Set(exports.map(({ format }) => format))].join(", ");
}
