import { heldOutSequences } from "../../calibration/held-out-sequences.js";
import { sampleSequences, sequencesFingerprint, type TokenSequences } from "../../calibration/token-sequences.js";
import type { DecoderSpec } from "../../network/index.js";
import type { CalibrationTokens } from "../../recipe/job/recipe-job.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { CalibrateEvent, WorkEvent } from "../events/events.js";
import type { RunOptions } from "../options/options.js";
import { openTokenizer, readTokens } from "./read-tokens.js";
import { SCORED } from "./scored-size.js";

/** The calibration sequences and what tells them from others. */
export interface Calibration {
  readonly tokens: CalibrationTokens;
  /** Hash of the tokenizer; null for a model without one, which can make text up all the same. */
  readonly tokenizer: string | null;
  readonly event: CalibrateEvent;
  /** Sequences of the same text that nothing is calibrated on; null where none are left, and where the model makes its text up. */
  readonly heldOut: TokenSequences | null;
}

/**
 * Reads the calibration text and cuts it into sequences.
 *
 * @throws CalibrationError for text that can't be used, or too little of it
 */
export async function calibrate(
  options: RunOptions,
  folder: string,
  spec: DecoderSpec,
  request: RequestContext<WorkEvent>,
): Promise<Calibration> {
  const tokenizer = await openTokenizer(folder, spec, request);
  const { samples, context, seed } = options;
  const stream = await readTokens(options.calibration, tokenizer, request, samples * context);
  const chosen = sampleSequences(stream.ids, { samples, context, seed });
  const longest = Math.min(SCORED.context, spec.maxPositions);
  return {
    tokens: chosen,
    tokenizer: tokenizer.hash,
    // Cut from what was not chosen, once that is settled: it changes nothing of the calibration.
    heldOut: heldOutSequences(stream.ids, { samples, context, seed }, { ...SCORED, context: longest }),
    event: {
      event: "calibrate",
      source: "files",
      documents: stream.documents,
      tokens: stream.ids.length,
      windows: chosen.sequences,
      context,
      hash: sequencesFingerprint(chosen, { tokenizer: tokenizer.hash, seed }),
    },
  };
}
