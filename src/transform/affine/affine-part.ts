import type { NormWeights } from "../../network/index.js";
import type { Parameter } from "../../quant/parameter.js";
import type { Tensor } from "../../tensor/index.js";

/** One trained matrix, or one for each head, and all that changes with it so that the unit computes the same. */
export interface AffinePart {
  readonly parameters: readonly Parameter[];
  /** Linears whose weights and biases it changes; it gives those of others back as they are. */
  readonly linears: readonly string[];
  /** @param weight `[out, in]` */
  weight(linear: string, weight: Tensor): Tensor;
  /** @param weight the Linear's own `[out, in]`, to see what a constant in its input comes to */
  bias(linear: string, bias: Tensor, weight: () => Tensor): Tensor;
  /** The norm that makes the values, as it is stored afterwards; null where a Linear makes them. */
  norm(): (NormWeights & { readonly name: string }) | null;
  /** The matrix behind a norm, as it is stored afterwards; left out by parts that have none. */
  matrix?(): { readonly norm: string; readonly matrix: Tensor };
  /** Takes the mask of an epoch, counted from 0. */
  enterEpoch(epoch: number, epochs: number): void;
  reset(): void;
  dispose(): void;
}
