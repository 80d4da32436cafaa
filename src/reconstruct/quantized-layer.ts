import { type LinearWeights, multiplied, type Ports } from "../network/index.js";
import { type Codes, dequantize } from "../quant/grid/grid.js";
import type { ActivationQuantizer } from "../quant/input/activation.js";
import { type Parameter, parametersOf, type Role } from "../quant/parameter.js";
import type { Scheme } from "../quant/scheme.js";
import type { RoundingPenalty, WeightPath } from "../quant/weight-path/weight-path.js";
import {
  backward,
  type DType,
  type Fp8Matrix,
  fitsFp8,
  keep,
  linearWithFp8Gradients,
  magnitudeOf,
  noGrad,
  type RowGroups,
  scope,
  type Tensor,
  toFp8,
} from "../tensor/index.js";

/** A tensor with a graph behind it, and the gradient that arrived at it. */
export interface Collected {
  readonly soft: Tensor;
  readonly gradient: Tensor;
}

/**
 * Carries the gradients that the operands of layers collected through their weight paths, in one pass, and what other
 * tensors of a step collected with them.
 */
export function backwardThroughPaths(
  layers: readonly QuantizedLayer[],
  others: () => readonly Collected[] = () => [],
): void {
  scope(() => {
    const collected = [...layers.map((layer) => layer.collected()).filter((pair) => pair !== null), ...others()];
    if (collected.length === 0) return;
    backward(
      collected.map((pair) => pair.soft),
      collected.map((pair) => pair.gradient),
    );
  });
}

/** In which dtype the products of the backward pass are: that of the others, or fp8 where the device can. */
export type GradientPrecision = "full" | "fp8";

/**
 * What a learnt weight's magnitude may grow to, in those that it began with: beyond it fp8 cuts it off. A binade more or
 * less costs fp8 no precision, so nobody measures it at every step.
 */
const GROWTH = 2;

/** Roles of parameters that are as many as the weights, or are multiplied to as many. */
const PER_WEIGHT: ReadonlySet<Role> = new Set<Role>(["weight", "rounding", "lowRank"]);

/**
 * One Linear while it is quantized: first learnt (`path`), then fixed (`codes`).
 *
 * A training step makes the operand once (`prepare`), lets any number of micro-batches add to its
 * gradient, and carries the sum through the path once (`collected`): fake quantization costs the
 * same however the batch is cut, and the products run in the compute dtype.
 */
export class QuantizedLayer {
  #path: WeightPath | null = null;
  #activation: ActivationQuantizer | null = null;
  #soft: Tensor | null = null;
  #operand: Tensor | null = null;
  #codes: Codes | null = null;
  /** Whether the path itself multiplies during a step, and there is no operand. */
  #multiplies = false;
  /** Of the soft weight at most, fp32 `[1]`; null where gradients are in full precision. */
  #magnitude: Tensor | null = null;
  /** The operand once more in fp8. */
  #fp8Operand: Fp8Matrix | null = null;

  constructor(
    /** Module name, `model.layers.0.self_attn.q_proj`. */
    readonly name: string,
    readonly scheme: Scheme,
    private readonly computeType: DType,
    private readonly gradients: GradientPrecision = "full",
    /** How many experts are stacked in it, each with inputs of its own; 1 for a Linear that all tokens pass. */
    readonly experts: number = 1,
  ) {}

  /** Fake quantization of the input; null for A16, and until calibration has found its range. */
  get activation(): ActivationQuantizer | null {
    return this.#activation;
  }

  /** Whether the input is quantized as its quantizer says; else it is computed with as it comes, and the quantizer waits. */
  appliesInput = true;

  /** Starts to quantize the input. */
  quantizeInput(quantizer: ActivationQuantizer): void {
    this.#activation?.dispose();
    this.#activation = quantizer;
  }

  /** How its weight is trained; null before that and afterwards. */
  get path(): WeightPath | null {
    return this.#path;
  }

  /** Everything that training may change: of the weight's path, then of the input's quantizer. */
  get parameters(): readonly Parameter[] {
    return parametersOf(this.name, [...(this.#path?.parameters ?? []), ...(this.#activation?.parameters ?? [])]);
  }

  /**
   * The parameters whose gradients are finite when all are: that of a scale sums over the gradient of every weight that it
   * serves, so the large ones need not be read once more.
   */
  get telling(): readonly Parameter[] {
    const { parameters } = this;
    if (!parameters.some(({ role }) => role === "scale")) return parameters;
    return parameters.filter(({ role }) => !PER_WEIGHT.has(role));
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

  /** Ends its training without codes: a rule that looks at the weight alone chooses them. */
  dropPath(): void {
    this.release();
    this.#path?.dispose();
    this.#path = null;
  }

  /** Starts to learn: takes the path over. */
  learn(path: WeightPath): void {
    this.#path = path;
  }

  /**
   * The Linear as the quantized network computes it; its bias stays in floating point. Until it
   * learns or is hard, the weight is the full-precision one. `ports` are what its unit was given.
   */
  apply(x: Tensor, linear: LinearWeights, groups?: RowGroups, ports?: Ports): Tensor {
    const input = (this.appliesInput ? this.#activation?.apply(x, ports) : null) ?? x;
    const { bias, product } = linear;
    if (this.#operand !== null && this.#fp8Operand !== null && product === undefined) {
      // A bias that a transform makes is trained too, which the products in fp8 don't do.
      const own = bias?.requiresGrad === true ? null : bias;
      const output = linearWithFp8Gradients(input, this.#operand, own, this.#fp8Operand);
      return bias === own || bias === null ? output : output.add(bias);
    }
    if (this.#multiplies && this.#path !== null) {
      const own = product === undefined && groups === undefined;
      const made = own ? this.#path.product?.(input, bias, this.computeType) : undefined;
      return made ?? multiplied(input, this.#path.weight(null, this.computeType), linear, groups);
    }
    return multiplied(input, this.#operand ?? linear.weight, linear, groups);
  }

  /** Makes the operand of a training step, a leaf that collects its gradient. */
  prepare(penalty: RoundingPenalty | null = null): void {
    const path = this.#path;
    if (path === null) return;
    this.release();
    this.#multiplies = path.product !== undefined;
    if (this.#multiplies) return;
    this.#soft = keep(scope(() => path.weight(penalty, this.computeType)));
    this.#operand = keep(this.#soft.detach()).requiresGrad_();
    // Products of groups of rows have no fp8 form here.
    if (this.gradients === "fp8" && this.experts === 1 && fitsFp8(this.#operand)) this.#prepareFp8(this.#operand);
  }

  #prepareFp8(operand: Tensor): void {
    noGrad(() => {
      const weight = operand.detach();
      if (this.#magnitude === null) this.#magnitude = keep(scope(() => magnitudeOf(weight).mul(GROWTH)));
      else if (this.#path?.grows === true) scope(() => this.#magnitude?.copy_(magnitudeOf(weight).mul(GROWTH)));
      const magnitude = this.#magnitude;
      const { columns, inverse } = scope(() => toFp8(weight, magnitude));
      this.#fp8Operand = { columns: keep(columns), inverse: keep(inverse) };
      weight.dispose();
    });
  }

  /** The soft weight and the gradient that its operand collected, for one pass backwards. */
  collected(): Collected | null {
    const gradient = this.#operand?.grad ?? null;
    return this.#soft === null || gradient === null ? null : { soft: this.#soft, gradient };
  }

  /** The hard weights of the current state, for measuring; training can go on afterwards. */
  previewHard(): void {
    const path = this.#path;
    if (path === null) return;
    this.release();
    this.#operand = keep(noGrad(() => scope(() => dequantize(path.harden()).to(this.computeType))));
  }

  /** Fixes the codes: those given, or those that the path learnt. */
  harden(codes?: Codes): void {
    const path = this.#path;
    if (codes === undefined && path === null) {
      throw new TypeError(`${this.name} has nothing to harden`);
    }
    this.release();
    const fixed = codes ?? (path as WeightPath).harden();
    this.#disposeCodes();
    this.#codes = {
      ...fixed,
      codes: keep(fixed.codes),
      scale: keep(fixed.scale),
      zeroPoint: keep(fixed.zeroPoint),
    };
    this.#operand = keep(noGrad(() => scope(() => dequantize(fixed).to(this.computeType))));
    path?.dispose();
    this.#path = null;
  }

  /** Takes its codes back: it computes with the full-precision weight again. */
  soften(): void {
    this.release();
    this.#disposeCodes();
  }

  dispose(): void {
    this.release();
    this.#magnitude?.dispose();
    this.#magnitude = null;
    this.#path?.dispose();
    this.#path = null;
    this.#activation?.dispose();
    this.#disposeCodes();
  }

  #disposeCodes(): void {
    if (this.#codes === null) return;
    for (const tensor of [this.#codes.codes, this.#codes.scale, this.#codes.zeroPoint]) tensor.dispose();
    this.#codes = null;
  }

  /** Frees the operand of the step. */
  release(): void {
    this.#multiplies = false;
    this.#soft?.dispose();
    this.#operand?.dispose();
    this.#fp8Operand?.columns.dispose();
    this.#fp8Operand?.inverse.dispose();
    this.#soft = null;
    this.#operand = null;
    this.#fp8Operand = null;
  }
}
