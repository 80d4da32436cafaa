import type { ActivationQuantizer } from "../quant/activation.js";
import { type Codes, dequantize } from "../quant/grid.js";
import type { Rounding } from "../quant/rounding/rounding.js";
import type { Scheme } from "../quant/scheme.js";
import { type DType, keep, noGrad, scope, type Tensor } from "../tensor/index.js";

/**
 * One Linear while it is quantized: first learnt (`rounding`), then fixed (`codes`).
 *
 * A training step makes the operand once (`prepare`), lets any number of micro-batches add to its
 * gradient, and carries the sum through the rounding once (`finish`): fake quantization costs the
 * same however the batch is cut, and the products run in the compute dtype.
 */
export class QuantizedLayer {
  #rounding: Rounding | null = null;
  #soft: Tensor | null = null;
  #operand: Tensor | null = null;
  #codes: Codes | null = null;

  constructor(
    /** Module name, `model.layers.0.self_attn.q_proj`. */
    readonly name: string,
    readonly scheme: Scheme,
    readonly activation: ActivationQuantizer | null,
    private readonly computeType: DType,
  ) {}

  get rounding(): Rounding | null {
    return this.#rounding;
  }

  /** The codes, once chosen. */
  get codes(): Codes {
    if (this.#codes === null) {
      throw new TypeError(`${this.name} has no codes yet`);
    }
    return this.#codes;
  }

  get isHard(): boolean {
    return this.#codes !== null;
  }

  /** Starts to learn: takes the rounding over. */
  learn(rounding: Rounding): void {
    this.#rounding = rounding;
  }

  /** The Linear as the quantized network computes it; `bias` stays in floating point. */
  apply(x: Tensor, bias: Tensor | null): Tensor {
    if (this.#operand === null) {
      throw new TypeError(`${this.name} was not prepared`);
    }
    const input = this.activation === null ? x : this.activation.apply(x);
    return input.linear(this.#operand, bias);
  }

  /** Makes the operand of a training step, a leaf that collects its gradient. */
  prepare(): void {
    const rounding = this.#rounding;
    if (rounding === null) return;
    this.#release();
    this.#soft = keep(scope(() => rounding.weight()));
    this.#operand = keep(noGrad(() => scope(() => rounded(this.#soft as Tensor, this.computeType))));
    this.#operand.requiresGrad_();
  }

  /** The soft weight and the gradient that its operand collected, for one pass backwards. */
  collected(): { readonly soft: Tensor; readonly gradient: Tensor } | null {
    const gradient = this.#operand?.grad ?? null;
    return this.#soft === null || gradient === null ? null : { soft: this.#soft, gradient: gradient.to("float32") };
  }

  /** The hard weights of the current state, for measuring; training can go on afterwards. */
  previewHard(): void {
    const rounding = this.#rounding;
    if (rounding === null) return;
    this.#release();
    this.#operand = keep(noGrad(() => scope(() => dequantize(rounding.harden()).to(this.computeType))));
  }

  /** Fixes the codes: those given, or those that the rounding learnt. */
  harden(codes?: Codes): void {
    const rounding = this.#rounding;
    if (codes === undefined && rounding === null) {
      throw new TypeError(`${this.name} has nothing to harden`);
    }
    this.#release();
    const fixed = codes ?? (rounding as Rounding).harden();
    this.#codes = {
      ...fixed,
      codes: keep(fixed.codes),
      scale: keep(fixed.scale),
      zeroPoint: keep(fixed.zeroPoint),
    };
    this.#operand = keep(noGrad(() => scope(() => dequantize(fixed).to(this.computeType))));
    rounding?.dispose();
    this.#rounding = null;
  }

  dispose(): void {
    this.#release();
    this.#rounding?.dispose();
    this.#rounding = null;
    this.activation?.dispose();
    if (this.#codes !== null) {
      for (const tensor of [this.#codes.codes, this.#codes.scale, this.#codes.zeroPoint]) tensor.dispose();
      this.#codes = null;
    }
  }

  #release(): void {
    this.#soft?.dispose();
    this.#operand?.dispose();
    this.#soft = null;
    this.#operand = null;
  }
}

// `to` returns an alias when the dtype is the same already; a leaf must not share its graph.
function rounded(soft: Tensor, dtype: DType): Tensor {
  return soft.detach().to(dtype);
}
