import { DecoderNetwork, readModel } from "../../network/index.js";
import type { RecipeJob, RecipeResults } from "../../recipe/job/recipe-job.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { QuantizeEvent } from "../events/events.js";
import type { RunIdentity } from "../journal/run-identity.js";
import { type Scored, scoreResult } from "../quality/score-result.js";
import type { Calibration } from "../source/calibrate.js";
import type { ResolvedRun } from "./resolve-run.js";

/** What is known of a run once its codes are. */
export interface FinishedRun {
  readonly calibration: Calibration | null;
  readonly identity: RunIdentity;
  readonly results: RecipeResults;
  /** The work folder. */
  readonly work: string;
}

/** Scores the source, what a run made of it, and round to nearest, or says why it does not. */
export async function scoreRun(
  { options, config, original, model, scheme }: ResolvedRun,
  job: RecipeJob,
  { calibration, identity, results, work }: FinishedRun,
  context: RequestContext<QuantizeEvent>,
): Promise<Scored> {
  const none = (missing: string): Scored => ({ quality: null, missing });
  if (!options.score) return none("it was left out (--no-score)");
  if (calibration === null) return none("no text was given");
  const { heldOut } = calibration;
  const made = calibration.event.source === "self-generated";
  if (heldOut === null) {
    return none(
      made
        ? "without tokenizer.json there is no text to score"
        : "all of the text was calibrated on: a longer one leaves a part to score",
    );
  }
  const { spec } = readModel(config, original);
  const quantized = { ...job, tokens: heldOut, resume: null };
  const rotated = model.rotation !== "none";
  const source = rotated ? { ...quantized, checkpoint: original, network: new DecoderNetwork(spec) } : quantized;
  const isNearest = options.recipe === "rtn" && !rotated;
  // Ranges of a whole tensor come from the calibration, which round to nearest has not seen.
  const fixedRanges = scheme.activationBits < 16 && options.activation.granularity === "tensor";
  const networks = { source, quantized, results, spec, roundToNearest: !isNearest && !fixedRanges };
  const of = made ? "the bundled text" : "the calibration text that nothing was calibrated on";
  return scoreResult({ networks, text: heldOut, of, work, identity, isNearest }, context);
}
