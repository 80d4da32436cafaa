import { floatType } from "../../network/index.js";
import { type DType, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";

/** The dtype in which the checkpoint has a tensor of this name; fp32 where it has none. */
export function storedType({ checkpoint }: Pick<RecipeJob, "checkpoint">, name: string): DType {
  return floatType(checkpoint.tensors.get(name)?.dtype ?? "F32") ?? "float32";
}

/** Hands a tensor that is not quantized over, under its full name and as it is stored. */
export function deliverPlain(job: RecipeJob, name: string, tensor: Tensor, dtype = storedType(job, name)): void {
  job.sink.plain(
    name,
    noGrad(() => scope(() => tensor.detach().to(dtype).toBytes())),
  );
}
