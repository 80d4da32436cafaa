import type { ActivationStore } from "../calibration/activation-store.js";
import { elementSize, noGrad, scope, Tensor } from "../tensor/index.js";
import type { QuantizedBlock } from "../window/quantized-block.js";
import { trainedLayers } from "../window/reconstruct.js";
import type { RecipeJob } from "./recipe-job.js";
import type { RecipeState, StateTensor } from "./saved-state.js";

/** The activations of a stream, sequence by sequence. */
export function streamState(job: RecipeJob, name: string, store: ActivationStore): StateTensor {
  const { sequences, tokens, hidden } = store.shape;
  return {
    name,
    dtype: job.dtype,
    shape: [sequences, tokens, hidden],
    *pieces() {
      for (let i = 0; i < sequences; i++) {
        job.poll();
        yield scope(() => bytesOf(store.read([i]).to(job.dtype)));
      }
    },
  };
}

/** Fills a stream from what was saved of it. */
export function restoreStream(job: RecipeJob, state: RecipeState, name: string, store: ActivationStore): void {
  const { sequences, tokens, hidden } = store.shape;
  const size = tokens * hidden * elementSize(job.dtype);
  for (let i = 0; i < sequences; i++) {
    job.poll();
    const bytes = state.read(name, i * size, (i + 1) * size);
    scope(() => store.write(i, Tensor.fromBytes(bytes, [1, tokens, hidden], job.dtype, job.device)));
  }
}

/**
 * What the layers of blocks have learnt so far. All else of a block (its folded weights, its starting
 * grids) follows from the checkpoint and the full-precision stream.
 */
export function learntState(blocks: readonly QuantizedBlock[]): StateTensor[] {
  return learntParameters(blocks).map(([name, parameter]) => ({
    name,
    dtype: parameter.dtype,
    shape: parameter.shape,
    *pieces() {
      yield bytesOf(parameter);
    },
  }));
}

/** Puts learnt parameters back into blocks that were prepared anew. */
export function restoreLearnt(state: RecipeState, blocks: readonly QuantizedBlock[]): void {
  noGrad(() => {
    for (const [name, parameter] of learntParameters(blocks)) {
      const bytes = state.read(name, 0, parameter.numel * elementSize(parameter.dtype));
      scope(() => parameter.copy_(Tensor.fromBytes(bytes, parameter.shape, parameter.dtype, parameter.device)));
    }
  });
}

function learntParameters(blocks: readonly QuantizedBlock[]): (readonly [string, Tensor])[] {
  return trainedLayers(blocks).flatMap((layer) => layer.learnt.map((p, i) => [`${layer.name}.learnt.${i}`, p]));
}

function bytesOf(tensor: Tensor): Uint8Array {
  const array = noGrad(() => scope(() => tensor.toArray()));
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
