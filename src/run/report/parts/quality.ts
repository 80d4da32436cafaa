import { isOfText, type OutputsQuality } from "../../result/result-quality.js";
import { figures } from "../figures.js";
import { html, type Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { bars } from "./bars.js";
import { missing, section } from "./section.js";

/** Perplexity and divergence on text that was held out: source, result, round to nearest. */
export function quality({ quality: found, qualityMissing }: ReportRecord): Markup {
  if (found === null) {
    const why = qualityMissing ?? "this result was made by a version that scored nothing";
    return section("quality", "Quality", null, missing(`Not scored: ${why}.`));
  }
  if (!isOfText(found)) return outputsQuality(found);
  const { perplexity, divergence, roundToNearestDivergence, text, tokens, context } = found;
  const nearest = perplexity.roundToNearest;
  const note = `On ${figures.count(tokens)} tokens of held-out text (${text}; context ${context}). Lower is better.`;
  return section(
    "quality",
    "Quality",
    note,
    html`<h3>Perplexity</h3>${bars([
      { label: "source", value: perplexity.source, text: figures.perplexity(perplexity.source), kind: "source" },
      { label: "this result", value: perplexity.result, text: figures.perplexity(perplexity.result), kind: "result" },
      ...(nearest === null
        ? []
        : [{ label: "round to nearest", value: nearest, text: figures.perplexity(nearest), kind: "nearest" } as const]),
    ])}<h3>Divergence from the source <span class="unit">nats a token</span></h3>${bars([
      { label: "this result", value: divergence, text: figures.loss(divergence), kind: "result" },
      ...(roundToNearestDivergence === null
        ? []
        : [
            {
              label: "round to nearest",
              value: roundToNearestDivergence,
              text: figures.loss(roundToNearestDivergence),
              kind: "nearest",
            } as const,
          ]),
    ])}`,
  );
}

// Of a graph: what outputs are on examples that were held out.
function outputsQuality({ examples, count, result, roundToNearest }: OutputsQuality): Markup {
  const measure = (of: (distance: typeof result) => number, shown: (value: number) => string): Markup =>
    bars([
      { label: "this result", value: of(result), text: shown(of(result)), kind: "result" },
      ...(roundToNearest === null
        ? []
        : [
            {
              label: "round to nearest",
              value: of(roundToNearest),
              text: shown(of(roundToNearest)),
              kind: "nearest",
            } as const,
          ]),
    ]);
  const classes =
    result.agreement === null
      ? null
      : html`<h3>Same class as the source <span class="unit">share of examples, higher is better</span></h3>${measure(
          ({ agreement }) => agreement ?? 0,
          figures.percent,
        )}<h3>Divergence from the source <span class="unit">nats an example</span></h3>${measure(
          ({ divergence }) => divergence ?? 0,
          figures.loss,
        )}`;
  return section(
    "quality",
    "Quality",
    `On ${figures.count(count)} ${examples}.`,
    html`${classes}<h3>Relative error of outputs</h3>${measure(({ relativeError }) => relativeError, figures.loss)}`,
  );
}
