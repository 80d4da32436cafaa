import { ModelFolder } from "../../../../checkpoint/model-folder.js";
import { Tokenizer } from "../../../../checkpoint/tokenizer/tokenizer.js";
import { DecoderNetwork, readModel } from "../../../../network/index.js";
import type { RecipeJob } from "../../../../recipe/job/recipe-job.js";
import { baseline } from "../../../../recipe/job/recipe-names.js";
import { isSmallNetwork, networkBytes } from "../../../plan/scoring-cost.js";
import type { Scored } from "../../../quality/score-once.js";
import { scoreResult } from "../../../quality/score-result.js";
import type { TextsToWrite } from "../../../quality/write-texts.js";
import type { Calibration } from "../../../source/calibrate.js";
import { FEW_WEIGHTS } from "../../../source/scored-size.js";
import type { FinishedRun, QuantizeContext, SubjectRun } from "../subject.js";
import type { TextModel } from "./text-model.js";

/** Scores the source, what a run made of it, and round to nearest, has them write, or says why not. */
export async function scoreText(
  subject: TextModel,
  run: SubjectRun,
  job: RecipeJob,
  { calibration, identity, results, work }: FinishedRun,
  context: QuantizeContext,
): Promise<Scored> {
  const { config, original, model } = subject;
  const { options, scheme } = run;
  const { spec, checkpoint } = readModel(config, original);
  const rotated = model.rotation !== "none";
  const heldOut = calibration?.heldOut ?? null;
  const quantized = { ...job, tokens: heldOut, resume: null };
  const source = rotated ? { ...quantized, checkpoint, network: new DecoderNetwork(spec) } : quantized;
  const isNearest = options.recipe === baseline && !rotated;
  // Ranges of a whole tensor come from the calibration, which round to nearest has not seen.
  const fixedRanges = scheme.activationBits < 16 && options.activation.granularity === "tensor";
  const networks = { source, quantized, results, spec, roundToNearest: !isNearest && !fixedRanges };
  const texts = await textsToWrite(subject, run);
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
function notScored({ options }: SubjectRun, calibration: Calibration | null): string {
  if (!options.score) return "it was left out (--no-score)";
  if (calibration === null) return "no text was given";
  if (calibration.event.source === "self-generated") return "without tokenizer.json there is no text to score";
  return "all of the text was calibrated on: a longer one leaves a part to score";
}

// With what, or why no texts are written.
async function textsToWrite(
  subject: TextModel,
  { options, scheme, facts, fitted, device }: SubjectRun,
): Promise<Pick<TextsToWrite, "tokenizer" | "nearest"> | string> {
  const { folder, model } = subject;
  const known = subject.planInput(facts);
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
