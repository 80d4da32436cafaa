import { cell } from "../result/markdown.js";
import { isOfText, type OutputsQuality, type Scores } from "../result/result-quality.js";

/** What was lost, as a table of Markdown with the text that it was measured on; empty where nothing was scored. */
export function qualityTable(quality: Scores | null): readonly string[] {
  if (quality === null) return [];
  if (!isOfText(quality)) return outputsTable(quality);
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

function outputsTable({ result, roundToNearest, count, examples }: OutputsQuality): readonly string[] {
  const row = (name: string, { relativeError, agreement, divergence }: typeof result): string =>
    [
      `| ${name}`,
      ...(agreement === null || divergence === null
        ? []
        : [`${(agreement * 100).toFixed(1)} %`, divergence.toPrecision(2)]),
      `${relativeError.toPrecision(2)} |`,
    ].join(" | ");
  const classes = result.agreement === null ? "" : " same class as the source | KL divergence, nats |";
  return [
    `| |${classes} relative error of outputs |`,
    `|---|${result.agreement === null ? "" : "---|---|"}---|`,
    row("this result", result),
    ...(roundToNearest === null ? [] : [row("the same scheme, rounded to nearest", roundToNearest)]),
    "",
    `On ${count.toLocaleString("en-US")} ${cell(examples)}.`,
  ];
}
