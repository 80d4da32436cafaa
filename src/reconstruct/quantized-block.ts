import type { BlockWeights, DecoderSpec, ForwardContext, LinearRole } from "../network/index.js";
import { forwardBlock, mapBlock } from "../network/index.js";
import type { Parameter } from "../quant/parameter.js";
import { type DType, keep, noGrad, scope, type Tensor } from "../tensor/index.js";
import type { QuantizedLayer } from "./quantized-layer.js";
import { TrainedNorms } from "./trained-norms.js";

/** Called with the input of every Linear while a block runs. */
export type InputObserver = (role: LinearRole, input: Tensor) => void;

/** One block of the decoder with its full-precision weights and its quantized Linears. */
export class QuantizedBlock {
  #weights: BlockWeights;
  /** By the weight in the products' dtype, which differs from it. */
  #exact: ReadonlyMap<Tensor, Tensor> = new Map();
  #norms: TrainedNorms | null = null;

  constructor(
    readonly index: number,
    private readonly spec: DecoderSpec,
    weights: BlockWeights,
    readonly layers: ReadonlyMap<LinearRole, QuantizedLayer>,
    private readonly context: ForwardContext,
  ) {
    this.#weights = weights;
  }

  /** Full-precision weights, owned; fp32 until `castWeights`. */
  get weights(): BlockWeights {
    return this.#weights;
  }

  /**
   * The weight `[out, in]` of a Linear as the checkpoint has it, or as folding left it, whatever the products' dtype: what
   * codes are chosen for. Fp32, or a dtype that holds the same numbers.
   */
  exactWeight(role: LinearRole): Tensor {
    const linear = this.#weights.linears.get(role);
    if (linear === undefined) throw new TypeError(`block ${this.index} has no Linear "${role}"`);
    return this.#exact.get(linear.weight) ?? linear.weight;
  }

  /** Casts the weights to the products' dtype. Those that this changes stay beside them as they were; fp32 brings them back. */
  castWeights(dtype: DType): void {
    const before = this.#weights;
    const exact = new Map<Tensor, Tensor>();
    const change = (tensor: Tensor): Tensor => {
      const source = this.#exact.get(tensor) ?? tensor;
      const cast = keep(source.to(dtype));
      if (dtype !== "float32" && !isSame(cast, source)) exact.set(cast, keep(source.detach()));
      return cast;
    };
    try {
      this.#weights = noGrad(() => mapBlock(before, change));
    } catch (error) {
      for (const tensor of exact.values()) tensor.dispose();
      throw error;
    }
    this.dropExactWeights();
    before.dispose();
    this.#exact = exact;
  }

  /** Frees what `castWeights` kept, where no codes are to be chosen. */
  dropExactWeights(): void {
    for (const tensor of this.#exact.values()) tensor.dispose();
    this.#exact = new Map();
  }

  /** Everything that training may change of it. */
  get parameters(): readonly Parameter[] {
    return [...this.trained.flatMap((layer) => layer.parameters), ...(this.#norms?.parameters ?? [])];
  }

  /** The parameters whose gradients are finite when all are. */
  get telling(): readonly Parameter[] {
    return [...this.trained.flatMap((layer) => layer.telling), ...(this.#norms?.parameters ?? [])];
  }

  /** Its norms as the quantized block has them, where those are trained. */
  get norms(): TrainedNorms | null {
    return this.#norms;
  }

  /** Starts to train the gains and shifts of its norms; the full-precision block keeps its own. */
  trainNorms(): void {
    this.#norms ??= new TrainedNorms(this.spec, this.index, this.#weights);
  }

  /** Its Linears that are trained. */
  get trained(): readonly QuantizedLayer[] {
    return [...this.layers.values()].filter((layer) => layer.path !== null);
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
    return forwardBlock(this.spec, this.#norms?.replaced(this.#weights) ?? this.#weights, x, {
      ...this.context,
      linear: (role, input, linear) => {
        observe?.(role, input);
        return this.layers.get(role)?.apply(input, linear) ?? input.linear(linear.weight, linear.bias);
      },
    });
  }

  dispose(): void {
    for (const layer of this.layers.values()) layer.dispose();
    this.#norms?.dispose();
    this.dropExactWeights();
    this.#weights.dispose();
  }
}

// Whether a cast to a narrower dtype kept every number.
function isSame(cast: Tensor, source: Tensor): boolean {
  return scope(() => {
    const lost = cast.to("float32").sub_(source);
    return lost.amax().item() === 0 && lost.amin().item() === 0;
  });
}

/** Runs blocks one after the other. What no gradient needs of a block is freed behind it. */
export function forwardAll(
  blocks: readonly QuantizedBlock[],
  x: Tensor,
  run: (block: QuantizedBlock, x: Tensor) => Tensor,
): Tensor {
  return scope(() => blocks.reduce((hidden, block) => scope(() => run(block, hidden)), x));
}
