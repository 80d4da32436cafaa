import type { BlockWeights, DecoderSpec, ForwardContext, LinearRole } from "../model/index.js";
import { castBlock, forwardBlock } from "../model/index.js";
import { type DType, scope, type Tensor } from "../tensor/index.js";
import type { QuantizedLayer } from "./quantized-layer.js";

/** Called with the input of every Linear while a block runs. */
export type InputObserver = (role: LinearRole, input: Tensor) => void;

/** One block of the decoder with its full-precision weights and its quantized Linears. */
export class QuantizedBlock {
  #weights: BlockWeights;

  constructor(
    readonly index: number,
    private readonly spec: DecoderSpec,
    weights: BlockWeights,
    readonly layers: ReadonlyMap<LinearRole, QuantizedLayer>,
    private readonly context: ForwardContext,
  ) {
    this.#weights = weights;
  }

  /** Full-precision weights, owned; fp32 until `settle`. */
  get weights(): BlockWeights {
    return this.#weights;
  }

  /** Turns the weights into the dtype of the products, once nothing is folded into them any more. */
  settle(dtype: DType): void {
    this.#weights = castBlock(this.#weights, dtype);
  }

  /** The block in full precision. */
  forwardFull(x: Tensor, observe?: InputObserver): Tensor {
    return forwardBlock(this.spec, this.#weights, x, {
      ...this.context,
      linear: (role, input, { weight, bias }) => {
        observe?.(role, input);
        return input.linear(weight, bias);
      },
    });
  }

  /** The block with quantized weights and inputs; Linears without a layer stay in full precision. */
  forwardQuantized(x: Tensor, observe?: InputObserver): Tensor {
    return forwardBlock(this.spec, this.#weights, x, {
      ...this.context,
      linear: (role, input, linear) => {
        observe?.(role, input);
        return this.layers.get(role)?.apply(input, linear) ?? input.linear(linear.weight, linear.bias);
      },
    });
  }

  dispose(): void {
    for (const layer of this.layers.values()) layer.dispose();
    this.#weights.dispose();
  }
}

/** Runs blocks one after the other. What no gradient needs of a block is freed behind it. */
export function forwardAll(
  blocks: readonly QuantizedBlock[],
  x: Tensor,
  run: (block: QuantizedBlock, x: Tensor) => Tensor,
): Tensor {
  return scope(() => blocks.reduce((hidden, block) => scope(() => run(block, hidden)), x));
}
