import { cell } from "../result/markdown.js";
import type { Scores } from "../result/result-quality.js";

/** What was lost, as a table of Markdown with the text that it was measured on; empty where nothing was scored. */
export function qualityTable(quality: Scores | null): readonly string[] {
  if (quality === null) return [];
  const { perplexity, divergence, tokens, context, text } = quality;
  const nearest = perplexity.roundToNearest;
  return [
    "| | perplexity |",
    "|---|---|",
    `| source model | ${perplexity.source.toFixed(2)} |`,
    `| this result | ${perplexity.result.toFixed(2)} |`,
    ...(nearest === null || nearest === perplexity.result
      ? []
      : [`| the same scheme, rounded to nearest | ${nearest.toFixed(2)} |`]),
    "",
    `On ${tokens.toLocaleString("en-US")} tokens of ${cell(text)}, ${context} a sequence. KL divergence from the source model: ` +
      `${divergence.toPrecision(2)} nats per token.`,
  ];
}
