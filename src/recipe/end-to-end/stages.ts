import type { RecipeJob } from "../job/recipe-job.js";
import type { EngineOptions } from "../options/engine-options.js";
import type { Recipe } from "../recipe.js";
import { finishScales } from "./finish-scales.js";
import type { Stage } from "./stage.js";
import { wantsFinish } from "./windows.js";

/** The trainings of the whole network that follow a recipe's windows, in order: its own, then that of all scales; none without text. */
export function stagesOf(recipe: Recipe, options: EngineOptions, hasText: boolean): readonly Stage[] {
  if (!hasText) return [];
  return [...(recipe.stages?.(options) ?? []), ...(wantsFinish(recipe, options) ? [finishScales(options)] : [])];
}

/** The same for a job; where nothing keeps what it hands over, nothing can follow that begins with it. */
export function stagesOfJob({ recipe, options, tokens, results }: RecipeJob): readonly Stage[] {
  const stages = stagesOf(recipe, options, tokens !== null);
  return results === null ? stages.slice(0, recipe.stages?.(options).length ?? 0) : stages;
}

/** Windows that stages count for. */
export function stageWindows(stages: readonly Pick<Stage, "epochs" | "pieces">[]): number {
  return stages.reduce((sum, { epochs, pieces }) => sum + epochs * pieces, 0);
}
