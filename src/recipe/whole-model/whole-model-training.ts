import type { OutputPenalty } from "../../reconstruct/whole-model/trained-model.js";
import type { RecipeJob } from "../job/recipe-job.js";
import type { EngineOptions } from "../options/engine-options.js";
import type { Recipe } from "../recipe.js";

/** How a recipe trains the whole model before its blocks are quantized: all weights, on the next tokens of the text. */
export interface WholeModelTraining {
  /** Whether it begins with random weights; those of the folder are trained otherwise. */
  readonly fromScratch: boolean;
  /** What to do where the folder has none, and where the rate is too high: `kurtosis.from=scratch`, `kurtosis.rate`. */
  readonly options: { readonly scratch: string; readonly rate: string };
  /** Parts that it is cut into, each a window of its own: what a killed run loses is one of them. */
  readonly parts: number;
  /** Passes over the text. */
  readonly epochs: number;
  /** Sequences of a step. */
  readonly batch: number;
  /** Rates at their highest: of Adam for the weights, and for the ends of the ranges of quantized inputs. */
  readonly rates: { readonly weight: number; readonly input: number };
  /** Fraction of the steps over which the rates rise, and what is left of them at the end. */
  readonly warmup: number;
  readonly finalRate: number;
  readonly weightDecay: number;
  /** Longest gradient of a step; null takes it as it is. */
  readonly maxGradient: number | null;
  /** Whether inputs are quantized meanwhile, where the scheme quantizes them; else their ranges are measured afterwards. */
  readonly quantizesInputs: boolean;
  /** What ranges begin with, from minus to plus; null measures them. */
  readonly inputStart: number | null;
  /** Whether zero is one of the levels of a quantized input. */
  readonly aligned: boolean;
  /** A term of the loss for every Linear. */
  readonly penalty: OutputPenalty | null;
}

/** The training that a job begins with; null where it takes the model as it is. */
export function trainingOf({ recipe, options }: Pick<RecipeJob, "recipe" | "options">): WholeModelTraining | null {
  return recipe.wholeModel?.(options) ?? null;
}

/** Windows before those of the blocks. */
export function trainingParts(recipe: Pick<Recipe, "wholeModel">, options: EngineOptions): number {
  return recipe.wholeModel?.(options)?.parts ?? 0;
}
