import type { Ports } from "../../calibration/port-store.js";
import { callTensor, callTensors, differentiable, hasKernel, keep, Tensor } from "../../tensor/index.js";
import { clampThrough, roundThrough } from "../grid/grid.js";
import type { Parameter } from "../parameter.js";

/** Fake quantization of a Linear's input. */
export interface ActivationQuantizer {
  /** What is trained: the clip factor or the step of this Linear. */
  readonly parameters: readonly Parameter[];
  /**
   * `x [..., in]` on the grid, differentiable in `x` and in the parameters. `ports` are what the unit was given, for a range
   * that depends on one of them.
   */
  apply(x: Tensor, ports?: Ports): Tensor;
  /** The clip factor (per token) or the step (per tensor) as stored. */
  value(): number;
  /** The code that stands for zero, where the range does not lie evenly around it; a fraction where no code does. */
  zeroPoint?(): number;
  dispose(): void;
}

/** Codes of a signed symmetric grid run from `-top - 1` to `top`. */
function topCode(bits: number): number {
  return 2 ** (bits - 1) - 1;
}

/**
 * Per token, dynamic: every token's range is its largest magnitude times the learnt clip factor
 * `S_X`, one per Linear. Source: CBQ (arXiv 2312.07950), section 3.3.
 */
export class TokenQuantizer implements ActivationQuantizer {
  readonly parameters: readonly Parameter[];
  readonly #bits: number;
  readonly #clip: Tensor;

  constructor(
    bits: number,
    device: Tensor["device"],
    options: { readonly clip?: number; readonly learn?: boolean } = {},
  ) {
    this.#bits = bits;
    this.#clip = keep(Tensor.full([1], options.clip ?? 1, { device }));
    if (options.learn ?? true) this.#clip.requiresGrad_();
    this.parameters =
      (options.learn ?? true) ? [{ role: "input", name: "input.clip", tensor: this.#clip, bounds: [0.05, 1.5] }] : [];
  }

  apply(x: Tensor): Tensor {
    return tokenRound(x, this.#clip, this.#bits);
  }

  value(): number {
    return this.#clip.item();
  }

  dispose(): void {
    this.#clip.dispose();
  }
}

/**
 * `x [..., in]` rounded on a grid per token, `step = max|x| clip / (2^(bits-1) - 1)`; differentiable in `x`, straight
 * through, and in `clip [1]`.
 */
export function tokenRound(x: Tensor, clip: Tensor, bits: number): Tensor {
  return hasKernel(fused, x) ? fusedTokenRound(x, clip, bits) : composedTokenRound(x, clip, bits);
}

/** The same out of libtorch's operators: for devices without the kernel, and what it is tested against. */
export function composedTokenRound(x: Tensor, clip: Tensor, bits: number): Tensor {
  const top = topCode(bits);
  const range = x.detach().abs().amax(-1, true).clamp(1e-8);
  const step = range.mul(clip.div(top));
  // The clip is fp32, and so is what it takes part in.
  return clampThrough(roundThrough(x.div(step)), -top - 1, top)
    .mul(step)
    .to(x.dtype);
}

const fused = "crossblock::token_round";

function fusedTokenRound(x: Tensor, clip: Tensor, bits: number): Tensor {
  return differentiable(
    [x, clip],
    () => ({ output: callTensor(fused, [x, clip, bits]), saved: [x, clip] }),
    (gradient, saved) => callTensors(`${fused}_backward`, [gradient, ...saved, bits]),
  );
}

/**
 * Per tensor, static: one learnt step per Linear, as in LSQ (arXiv 1902.08153). `start` is the step
 * that calibration found.
 */
export class TensorQuantizer implements ActivationQuantizer {
  readonly parameters: readonly Parameter[];
  readonly #bits: number;
  readonly #start: number;
  readonly #logStep: Tensor;

  constructor(bits: number, start: number, device: Tensor["device"], options: { readonly learn?: boolean } = {}) {
    this.#bits = bits;
    this.#start = start;
    this.#logStep = keep(Tensor.zeros([1], { device }));
    if (options.learn ?? true) this.#logStep.requiresGrad_();
    this.parameters =
      (options.learn ?? true) ? [{ role: "input", name: "input.step", tensor: this.#logStep, bounds: [-3, 3] }] : [];
  }

  apply(x: Tensor): Tensor {
    const top = topCode(this.#bits);
    const step = this.#logStep.exp().mul(this.#start);
    return clampThrough(roundThrough(x.div(step)), -top - 1, top)
      .mul(step)
      .to(x.dtype);
  }

  value(): number {
    return this.#start * Math.exp(this.#logStep.item());
  }

  dispose(): void {
    this.#logStep.dispose();
  }
}

/** The quantizer of an input from the step that calibration found. */
export type StepQuantizer = (bits: number, step: number, device: Tensor["device"]) => ActivationQuantizer;

/** One whose step is trained from there on. */
export const learntStep: StepQuantizer = (bits, step, device) => new TensorQuantizer(bits, step, device);

/** One whose step stays. */
export const fixedStep: StepQuantizer = (bits, step, device) =>
  new TensorQuantizer(bits, step, device, { learn: false });
