import { type PortStore, portType } from "../../calibration/port-store.js";
import type { Parameter } from "../../quant/parameter.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { elementSize, noGrad, numbersIn, scope, Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import type { RecipeState, StateTensor } from "./saved-state.js";

/** A tensor under the name by which it is saved: a parameter, among others. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** What a stream holds, sequence by sequence: a tensor for each port. */
export function streamState(job: RecipeJob, name: string, stream: PortStore): StateTensor[] {
  return [...stream.stores].map(([port, store]) => ({
    name: `${name}.${port}`,
    dtype: portType(store.shape.shape, job.dtype),
    shape: [store.shape.sequences, ...store.shape.shape],
    *pieces() {
      const dtype = portType(store.shape.shape, job.dtype);
      for (let i = 0; i < store.shape.sequences; i++) {
        job.poll();
        yield noGrad(() => scope(() => store.read([i]).to(dtype).toBytes()));
      }
    },
  }));
}

/** Fills a stream from what was saved of it. */
export function restoreStream(job: RecipeJob, state: RecipeState, name: string, stream: PortStore): void {
  for (const [port, store] of stream.stores) {
    const { sequences, shape } = store.shape;
    const dtype = portType(shape, job.dtype);
    const size = numbersIn(shape) * elementSize(dtype);
    for (let i = 0; i < sequences; i++) {
      job.poll();
      const bytes = state.read(`${name}.${port}`, i * size, (i + 1) * size);
      scope(() => store.write(i, Tensor.fromBytes(bytes, [1, ...shape], dtype, job.device)));
    }
  }
}

/**
 * What is trained in these blocks. All else of a block (its folded weights, its starting grids) follows from the
 * checkpoint and the full-precision stream.
 */
export function parametersIn(blocks: readonly QuantizedUnit[]): Parameter[] {
  return blocks.flatMap((block) => block.parameters);
}

/** Tensors for the run to save, as they are when it does so. */
export function savedTensors(tensors: readonly NamedTensor[]): StateTensor[] {
  return tensors.map(({ name, tensor }) => ({
    name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    *pieces() {
      yield noGrad(() => tensor.toBytes());
    },
  }));
}

/** Puts back what was saved of tensors: their owners were prepared anew. */
export function restoreTensors(state: RecipeState, tensors: readonly NamedTensor[]): void {
  noGrad(() => {
    for (const { name, tensor } of tensors) {
      const bytes = state.read(name, 0, tensor.numel * elementSize(tensor.dtype));
      scope(() => tensor.copy_(Tensor.fromBytes(bytes, tensor.shape, tensor.dtype, tensor.device)));
    }
  });
}
