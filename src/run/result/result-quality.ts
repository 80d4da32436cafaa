import { z } from "zod";
import {
  type OutputDistance,
  type OutputsQuality,
  qualityShape,
  type ResultQuality,
  type TextQuality,
} from "./result-record.js";

/** What was scored, and what came of it. */
export type Scores = NonNullable<ResultQuality>;

const scored = z.object({ quality: qualityShape });

/** The scores in a record; null where nothing was scored, and for what an early version wrote. */
export function qualityOf(record: unknown): Scores | null {
  const parsed = scored.safeParse(record);
  return parsed.success ? parsed.data.quality : null;
}

/** Whether what was scored is text, and not the outputs of a graph. */
export function isOfText<Q extends { readonly perplexity: unknown } | { readonly count: number }>(
  quality: Q,
): quality is Extract<Q, { readonly perplexity: unknown }> {
  return "perplexity" in quality;
}

/** What the outputs of a graph lost, in a clause: "same class at 98.4 % of 64 images (round to nearest 91.2 %)". */
export function outputsText({ result, roundToNearest }: Pick<OutputsQuality, "result" | "roundToNearest">): string {
  const nearest = (shown: (distance: OutputDistance) => string): string =>
    roundToNearest === null ? "" : ` (round to nearest ${shown(roundToNearest)})`;
  const error = ({ relativeError }: OutputDistance): string => relativeError.toPrecision(2);
  const ofOutputs = `relative error of outputs ${error(result)}${nearest(error)}`;
  if (result.agreement === null || result.divergence === null) return ofOutputs;
  const same = ({ agreement }: OutputDistance): string => `${((agreement ?? 0) * 100).toFixed(1)} %`;
  const nats = ({ divergence }: OutputDistance): string => (divergence ?? 0).toPrecision(2);
  return `same class at ${same(result)}${nearest(same)}, KL divergence ${nats(result)} nats${nearest(nats)}, ${ofOutputs}`;
}

export type { OutputsQuality, TextQuality };
