import { ModelFolder } from "../../checkpoint/model-folder.js";
import { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { DecoderNetwork, readModel } from "../../network/index.js";
import type { RecipeJob, RecipeResults } from "../../recipe/job/recipe-job.js";
import { baseline } from "../../recipe/job/recipe-names.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { QuantizeEvent } from "../events/events.js";
import type { RunIdentity } from "../journal/run-identity.js";
import { isSmallNetwork, networkBytes } from "../plan/scoring-cost.js";
import { type Scored, scoreResult } from "../quality/score-result.js";
import type { TextsToWrite } from "../quality/write-texts.js";
import type { Calibration } from "../source/calibrate.js";
import { FEW_WEIGHTS } from "../source/scored-size.js";
import type { ResolvedRun } from "./resolve-run.js";

/** What is known of a run once its codes are. */
export interface FinishedRun {
  readonly calibration: Calibration | null;
  readonly identity: RunIdentity;
  readonly results: RecipeResults;
  /** The work folder. */
  readonly work: string;
}

/** Scores the source, what a run made of it, and round to nearest, has them write, or says why not. */
export async function scoreRun(
  run: ResolvedRun,
  job: RecipeJob,
  { calibration, identity, results, work }: FinishedRun,
  context: RequestContext<QuantizeEvent>,
): Promise<Scored> {
  const { options, config, original, model, scheme } = run;
  const { spec, checkpoint } = readModel(config, original);
  const rotated = model.rotation !== "none";
  const heldOut = calibration?.heldOut ?? null;
  const quantized = { ...job, tokens: heldOut, resume: null };
  const source = rotated ? { ...quantized, checkpoint, network: new DecoderNetwork(spec) } : quantized;
  const isNearest = options.recipe === baseline && !rotated;
  // Ranges of a whole tensor come from the calibration, which round to nearest has not seen.
  const fixedRanges = scheme.activationBits < 16 && options.activation.granularity === "tensor";
  const networks = { source, quantized, results, spec, roundToNearest: !isNearest && !fixedRanges };
  const texts = await textsToWrite(run);
  return scoreResult(
    {
      networks,
      work,
      identity,
      isNearest,
      text: options.score && heldOut !== null ? heldOut : notScored(run, calibration),
      of:
        calibration?.event.source === "self-generated"
          ? "the bundled text"
          : "the calibration text that nothing was calibrated on",
      texts:
        typeof texts === "string"
          ? texts
          : { ...texts, source, spec, quantized: model, results, nearest: !isNearest && texts.nearest },
    },
    context,
  );
}

// Why nothing is scored.
function notScored({ options }: ResolvedRun, calibration: Calibration | null): string {
  if (!options.score) return "it was left out (--no-score)";
  if (calibration === null) return "no text was given";
  if (calibration.event.source === "self-generated") return "without tokenizer.json there is no text to score";
  return "all of the text was calibrated on: a longer one leaves a part to score";
}

// With what, or why no texts are written.
async function textsToWrite({
  options,
  folder,
  model,
  scheme,
  known,
  fitted,
  device,
}: ResolvedRun): Promise<Pick<TextsToWrite, "tokenizer" | "nearest"> | string> {
  if (!options.score) return "they were left out (--no-score)";
  if (!ModelFolder.open(folder).has("tokenizer.json")) return "the model has no tokenizer.json";
  if (scheme.activationBits < 16) return "its inputs are quantized, which only runs of whole texts simulate here";
  const { estimate, weights } = fitted.plan;
  const planned = device === "cpu" ? estimate.hostBytes - known.baseBytes : estimate.deviceBytes;
  if (!isSmallNetwork(known) && networkBytes(known) > planned) {
    return "the whole network takes more memory than its quantization";
  }
  return { tokenizer: await Tokenizer.open(folder, model.spec.vocabSize), nearest: weights <= FEW_WEIGHTS };
}
