import { shellWord } from "../../../checkpoint/file-system/shell-word.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { ModelFolder } from "../../../checkpoint/model-folder.js";
import type { FolderWeights } from "../../../checkpoint/tensor-reader.js";
import { singleWeightFile, weightIndexFile } from "../../../checkpoint/weight-index.js";
import { CalibrationError, CheckpointError } from "../../../errors.js";
import { openSourceWeights } from "../../../format/dequantized/open-source-weights.js";
import { InitialWeights } from "../../../network/index.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import { isSelfGenerated } from "../../options/calibration-option.js";
import { type GivenOptions, recipeOptionsOf } from "../../options/options.js";

/**
 * The weights that a run begins with: those of the folder, or random ones where its recipe trains a model from scratch.
 *
 * @param config `config.json` of the folder, with what it says of quantized weights
 * @throws CheckpointError for a folder without weights that a recipe could train from scratch, if it was asked to;
 *   CalibrationError where a model that was never trained would make up its own text
 */
export async function openWeights(folder: string, config: ModelConfig, options: GivenOptions): Promise<FolderWeights> {
  const training = recipeOf(options.recipe).wholeModel?.(recipeOptionsOf(options));
  if (training === undefined) return openSourceWeights(folder, config);
  if (training.fromScratch) {
    if (isSelfGenerated(options)) throw nothingToLearn(folder);
    return new InitialWeights(folder, config, options.seed);
  }
  const files = ModelFolder.open(folder);
  if (files.has(singleWeightFile) || files.has(weightIndexFile)) return openSourceWeights(folder, config);
  throw new CheckpointError({
    where: folder,
    what: `neither ${singleWeightFile} nor ${weightIndexFile} in this folder`,
    next: `give --set ${training.options.scratch} to train random weights, or a folder that has some: crossblock inspect ${shellWord(folder)}`,
  });
}

function nothingToLearn(folder: string): CalibrationError {
  return new CalibrationError({
    where: folder,
    what: "a model that was never trained makes up noise, and would be trained on it",
    why: ModelFolder.open(folder).has("tokenizer.json")
      ? "self-generated text was asked for"
      : "without tokenizer.json no other text can be encoded",
    next: "put the tokenizer.json that the model will have into its folder, and give --calibration PATH with text",
  });
}
