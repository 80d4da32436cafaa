import { isFiniteTensor, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { storedType } from "../solve/deliver-plain.js";

/**
 * The name of a trained weight that is no number, or too large for the dtype in which the checkpoint stores it; null where there is
 * none. A norm divides by such sizes, so that the loss may be finite all the same.
 */
export function unstorableWeight(
  job: Pick<RecipeJob, "checkpoint" | "poll">,
  weights: ReadonlyMap<string, Tensor>,
): string | null {
  for (const [name, tensor] of weights) {
    job.poll();
    const fits = noGrad(() => scope(() => isFiniteTensor(tensor.detach().to(storedType(job, name)))));
    if (!fits) return name;
  }
  return null;
}
