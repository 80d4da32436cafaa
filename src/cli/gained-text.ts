import type { OutputsEvent, QualityEvent, SizesEvent } from "../run/events/events.js";
import { isOfText, outputsText } from "../run/result/result-quality.js";
import { formatBytes } from "./quantities.js";

/**
 * What a run lost and gained, in a line: `perplexity 30.0 -> 32.5 (round to nearest 41.9); 269 MB -> 118 MB (gguf), 31 % of it the
 * embedding`.
 */
export function gainedLine(quality: QualityEvent | OutputsEvent | undefined, { source, formats }: SizesEvent): string {
  const sizes = formats.map(({ format, bytes, embeddingBytes }) => {
    const share = bytes === 0 ? 0 : Math.round((embeddingBytes / bytes) * 100);
    return `${formatBytes(bytes)} (${format}${share > 0 ? `, ${share} % of it the embedding` : ""})`;
  });
  const size = `${formatBytes(source)} -> ${sizes.join(", ")}`;
  return quality === undefined ? size : `${qualityText(quality)}; ${size}`;
}

function qualityText(quality: QualityEvent | OutputsEvent): string {
  if (!isOfText(quality)) return outputsText(quality);
  const { source, result, roundToNearest } = quality.perplexity;
  const nearest = roundToNearest === null ? "" : ` (round to nearest ${shown(roundToNearest)})`;
  return `perplexity ${shown(source)} -> ${shown(result)}${nearest}`;
}

function shown(perplexity: number): string {
  if (perplexity >= 1e5) return perplexity.toExponential(1);
  return perplexity >= 100 ? perplexity.toFixed(0) : perplexity.toFixed(perplexity >= 10 ? 1 : 2);
}
