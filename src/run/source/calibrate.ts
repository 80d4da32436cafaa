import { sampleSequences, sequencesFingerprint } from "../../calibration/token-sequences.js";
import type { DecoderSpec } from "../../network/index.js";
import type { CalibrationTokens } from "../../recipe/job/recipe-job.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { CalibrateEvent, WorkEvent } from "../events/events.js";
import type { RunOptions } from "../options/options.js";
import { openTokenizer, readTokens } from "./read-tokens.js";

/** The calibration sequences and what tells them from others. */
export interface Calibration {
  readonly tokens: CalibrationTokens;
  /** Hash of the tokenizer. */
  readonly tokenizer: string;
  readonly event: CalibrateEvent;
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
  return {
    tokens: chosen,
    tokenizer: tokenizer.hash,
    event: {
      event: "calibrate",
      documents: stream.documents,
      tokens: stream.ids.length,
      windows: chosen.sequences,
      context,
      hash: sequencesFingerprint(chosen, { tokenizer: tokenizer.hash, seed }),
    },
  };
}
