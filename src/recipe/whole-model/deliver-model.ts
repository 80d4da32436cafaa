import type { TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import type { TrainedModel } from "../../reconstruct/whole-model/trained-model.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { deliverPlain } from "../solve/deliver-plain.js";

/** Hands over every weight of a trained model, as the checkpoint stores it, and the ranges of its quantized inputs. */
export function deliverModel(job: RecipeJob, model: TrainedModel, grids: ReadonlyMap<string, TensorGrid>): void {
  const copies = storedCopies(job, model);
  for (const [name, tensor] of model.weights) {
    job.poll();
    deliverPlain(job, name, tensor);
    for (const copy of copies.get(name) ?? []) deliverPlain(job, copy, tensor);
  }
  for (const [module, { scale, zeroPoint }] of grids) job.sink.activation(module, scale, zeroPoint);
}

// A head that is stored beside the embedding that it is tied to has to stay the same, or readers would take it for one of its
// own.
function storedCopies({ checkpoint }: RecipeJob, model: TrainedModel): ReadonlyMap<string, readonly string[]> {
  const copies = new Map<string, string[]>();
  for (const [other, info] of checkpoint.tensors) {
    if (model.weights.has(other) || info.shape.length < 2) continue;
    for (const name of model.weights.keys()) {
      const trained = checkpoint.tensors.get(name);
      const alike = trained?.dtype === info.dtype && `${trained.shape}` === `${info.shape}`;
      if (!alike || Buffer.compare(checkpoint.readSync(name), checkpoint.readSync(other)) !== 0) continue;
      copies.set(name, [...(copies.get(name) ?? []), other]);
    }
  }
  return copies;
}
