import { heldOutSequences } from "../../calibration/held-out-sequences.js";
import { sampleSequences, sequencesFingerprint, type TokenSequences } from "../../calibration/token-sequences.js";
import { CalibrationError } from "../../errors.js";
import type { DecoderSpec } from "../../network/index.js";
import type { CalibrationTokens } from "../../recipe/job/recipe-job.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { CalibrateEvent, WorkEvent } from "../events/events.js";
import { isBundled, textSource } from "../options/calibration-option.js";
import { type RunOptions, schemeOf } from "../options/options.js";
import { needsText } from "../options/text/default-text.js";
import { calibrationFiles } from "./calibration-files.js";
import { openTokenizer, readBundledTokens, readTokens } from "./read-tokens.js";
import { SCORED } from "./scored-size.js";

/** The calibration sequences and what tells them from others. */
export interface Calibration {
  readonly tokens: CalibrationTokens;
  /** Hash of the tokenizer; null for a model without one, which can make text up all the same. */
  readonly tokenizer: string | null;
  readonly event: CalibrateEvent;
  /** Sequences that nothing is calibrated on: of the same text, or of the bundled text where the model makes its text up; null where there are none. */
  readonly heldOut: TokenSequences | null;
}

/**
 * Reads the calibration text and cuts it into sequences.
 *
 * @param folder of the model
 * @param why this text was chosen, where it was not asked for
 * @throws CalibrationError for text that can't be used, or too little of it
 */
export async function calibrate(
  options: RunOptions,
  { folder, spec, why }: { readonly folder: string; readonly spec: DecoderSpec; readonly why: string | null },
  request: RequestContext<WorkEvent>,
): Promise<Calibration> {
  const tokenizer = await openTokenizer(folder, spec, request);
  const { seed } = options;
  const start = tokenizer.sequenceStart;
  const wanted = options.samples * options.context;
  const answersOnly = recipeOf(options.recipe).answersOnly?.(options) === true;
  const stream = isBundled(options)
    ? await readBundledTokens(tokenizer, request, { wanted: wanted + SCORED.sequences * SCORED.context, seed })
    : await readTokens(await calibrationFiles(options, request), tokenizer, request, wanted, answersOnly);
  const { samples, context, fitted } = taken(stream.ids.length, options);
  const chosen = sampleSequences(stream.ids, { samples, context, seed, start }, stream.answers);
  if (chosen.answers?.some((mark) => mark === 1) === false) throw withoutAnswers(options);
  const longest = Math.min(SCORED.context, spec.maxPositions);
  return {
    tokens: chosen,
    tokenizer: tokenizer.hash,
    // Cut from what was not chosen, once that is settled: it changes nothing of the calibration.
    heldOut: heldOutSequences(stream.ids, { samples: fitted, context, seed, start }, { ...SCORED, context: longest }),
    event: {
      event: "calibrate",
      source: textSource(options),
      why,
      documents: stream.documents,
      tokens: stream.ids.length,
      sequences: chosen.sequences,
      context,
      hash: sequencesFingerprint(chosen, { tokenizer: tokenizer.hash, seed }),
    },
  };
}

/**
 * How much of a text is taken, and how much of that must not be scored. Where nothing is fitted to the text, which then only shows
 * how large errors are, a short one serves as well, and all of it may be scored.
 */
function taken(tokens: number, options: RunOptions): Record<"samples" | "context" | "fitted", number> {
  const { samples, context } = options;
  if (needsText(options, schemeOf(options)) || Math.floor(tokens / context) >= samples) {
    return { samples, context, fitted: samples };
  }
  const length = Math.min(context, Math.max(2, tokens));
  return { samples: Math.min(samples, Math.max(1, Math.floor(tokens / length))), context: length, fitted: 0 };
}

function withoutAnswers({ recipe }: RunOptions): CalibrationError {
  return new CalibrationError({
    what: "no token of the text is an answer of the assistant, and only those count",
    why: "the conversations have no turn of the role assistant, or the model's chat template does not write it",
    next: `give conversations with answers, or count all tokens (--set ${recipe}.loss=all)`,
  });
}
