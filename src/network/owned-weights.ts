import type { TensorReader } from "../checkpoint/tensor-reader.js";
import type { Tensor } from "../tensor/index.js";
import { loadTensor, type Placement } from "./load-tensor.js";

/** Where the tensor of a name comes from: a checkpoint, or a result that is decoded on the way. */
export type TensorSource = (name: string, shape: readonly number[]) => Tensor;

export function checkpointSource(checkpoint: TensorReader, to: Placement): TensorSource {
  return (name, shape) => loadTensor(checkpoint, name, shape, to);
}

/** Weights that own what was loaded for them. */
export function loadAll<T extends object>(
  source: TensorSource,
  build: (load: TensorSource) => T,
): T & { dispose(): void } {
  return collectOwned((own) => build((name, shape) => own(source(name, shape))));
}

/** Weights that own what was made for them; when one tensor fails, those before it are freed. */
export function collectOwned<T extends object>(build: (own: (tensor: Tensor) => Tensor) => T): T & { dispose(): void } {
  const owned: Tensor[] = [];
  const dispose = (): void => {
    for (const tensor of owned) tensor.dispose();
  };
  try {
    const weights = build((tensor) => {
      owned.push(tensor);
      return tensor;
    });
    return { ...weights, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
