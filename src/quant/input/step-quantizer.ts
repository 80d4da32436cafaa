import { differentiable, keep, noGrad, Tensor } from "../../tensor/index.js";
import type { Parameter } from "../parameter.js";
import { levels } from "../scheme.js";
import type { ActivationQuantizer } from "./activation.js";
import type { TensorGrid } from "./asymmetric-tensor.js";

/**
 * Per tensor, static, asymmetric: `x^ = s (clip(round(x / s) + z, 0, 2^bits - 1) - z)`, where the step `s` is learnt as in
 * LSQ (arXiv 1902.08153) and the zero point `z` stays:
 *
 *   dx^/ds = round(x / s) - x / s inside of the range, and the code less `z` where it clips.
 */
export class StepTensorQuantizer implements ActivationQuantizer {
  readonly parameters: readonly Parameter[];
  readonly #step: Tensor;
  readonly #zeroPoint: number;

  /** @param relative whether rates are in shares of the step that it starts with, or absolute */
  constructor(
    private readonly bits: number,
    { scale, zeroPoint }: TensorGrid,
    device: Tensor["device"],
    { relative }: { readonly relative: boolean },
  ) {
    this.#step = keep(Tensor.full([1], scale, { device })).requiresGrad_();
    this.#zeroPoint = zeroPoint;
    const bounds = [scale / 20, scale * 20] as const;
    this.parameters = [
      { role: "input", name: "input.step", tensor: this.#step, bounds, ...(relative && { unit: scale }) },
    ];
  }

  apply(x: Tensor): Tensor {
    const step = this.#step;
    const [zeroPoint, top] = [this.#zeroPoint, levels(this.bits) - 1];
    return differentiable(
      [x, step],
      () => {
        const codes = x
          .detach()
          .to("float32")
          .div(step.detach())
          .round_()
          .clamp_(-zeroPoint, top - zeroPoint);
        return { output: codes.mul_(step.detach()).to(x.dtype), saved: [x, step] };
      },
      (gradient, saved) => {
        const [input, scale] = saved as [Tensor, Tensor];
        const wide = gradient.to("float32");
        const units = input.to("float32").div(scale);
        const codes = units.round().clamp_(-zeroPoint, top - zeroPoint);
        // A number whose nearest level is an end has not been cut off.
        const inside = units.round().sub_(codes).eq(0);
        const slope = codes.sub(units.mul_(inside)).mul_(wide);
        return [wide.mul(inside).to(input.dtype), slope.sum().reshape([1])];
      },
    );
  }

  value(): number {
    return noGrad(() => this.#step.item());
  }

  zeroPoint(): number {
    return this.#zeroPoint;
  }

  dispose(): void {
    this.#step.dispose();
  }
}

/** The quantizer of another layer that reads the same tensor: it computes the same, and trains and frees nothing. */
export function sharedQuantizer(owner: ActivationQuantizer): ActivationQuantizer {
  return {
    parameters: [],
    apply: (...given) => owner.apply(...given),
    value: () => owner.value(),
    ...(owner.zeroPoint !== undefined && { zeroPoint: () => owner.zeroPoint?.() ?? 0 }),
    dispose: () => {},
  };
}
