import { differentiable, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { Parameter } from "../parameter.js";
import { levels } from "../scheme.js";
import type { ActivationQuantizer } from "./activation.js";

/** Ends of the range of an input: what lies beyond them is cut off. */
export interface Clips {
  readonly low: number;
  readonly high: number;
}

/** An asymmetric grid of a whole tensor: `x^ = scale (q - zeroPoint)`, q from 0 to `2^bits - 1`. */
export interface TensorGrid {
  readonly scale: number;
  /** An integer where zero is on the grid, else a fraction. */
  readonly zeroPoint: number;
}

/**
 * Zero stays in the range, or no zero point from 0 to `2^bits - 1` would stand for it; and the range keeps a width, or
 * dividing by its step would not be finite.
 */
const [LOWEST, NARROWEST, HIGHEST] = [-1e4, 1e-4, 1e4];

/**
 * Per tensor, static, asymmetric: one range `[low, high]` for each Linear, whose ends are learnt, and `2^bits` levels over
 * it. Straight through inside of the range; what is cut off tells the end that cut it.
 *
 * With `aligned` the grid is shifted by less than half a step so that zero is one of its levels, which integer formats
 * need; the gradients are those of the ends as they are.
 * Source: Nrusimha et al. (arXiv 2404.03605), section 4.1; the fused quantizer that its authors released clamps once more on
 * the way back, with bounds that do not belong to what it clamps, and so loses a part of the gradient.
 */
export class ClippedTensorQuantizer implements ActivationQuantizer {
  readonly parameters: readonly Parameter[];
  readonly #low: Tensor;
  readonly #high: Tensor;

  constructor(
    private readonly bits: number,
    { low, high }: Clips,
    device: Tensor["device"],
    private readonly options: { readonly aligned: boolean },
  ) {
    const leaf = (value: number): Tensor => keep(Tensor.full([1], value, { device })).requiresGrad_();
    this.#low = leaf(Math.min(low, 0));
    this.#high = leaf(Math.max(high, NARROWEST));
    this.parameters = [
      { role: "input", name: "input.low", tensor: this.#low, bounds: [LOWEST, 0] },
      { role: "input", name: "input.high", tensor: this.#high, bounds: [NARROWEST, HIGHEST] },
    ];
  }

  apply(x: Tensor): Tensor {
    const [low, high] = [this.#low, this.#high];
    return differentiable(
      [x, low, high],
      () => {
        const { scale, zeroPoint } = this.#grid();
        const output = rounded(x, { scale, zeroPoint, whole: this.options.aligned }, this.bits);
        return { output, saved: [x, scale, zeroPoint] };
      },
      (gradient, saved) => {
        const [input, scale, zeroPoint] = saved as [Tensor, Tensor, Tensor];
        const top = levels(this.bits) - 1;
        const place = placeOf(input, scale, zeroPoint);
        const [below, above] = [place.le(0), place.ge(top)];
        const inside = below.logicalNot().logicalAnd(above.logicalNot());
        const wide = gradient.to("float32");
        // Inside: dx^/dhigh = (round(u) - u) / (2^bits - 1) = -dx^/dlow.
        const spread = place.round().sub_(place).mul_(wide).mul_(inside).sum().div(top);
        const cut = (where: Tensor): Tensor => wide.mul(where).sum();
        return [
          wide.mul(inside).to(input.dtype),
          cut(below).sub(spread).reshape([1]),
          cut(above).add(spread).reshape([1]),
        ];
      },
    );
  }

  value(): number {
    return noGrad(() => scope(() => this.#grid().scale.item()));
  }

  zeroPoint(): number {
    return noGrad(() => scope(() => this.#grid().zeroPoint.item()));
  }

  dispose(): void {
    this.#low.dispose();
    this.#high.dispose();
  }

  #grid(): { readonly scale: Tensor; readonly zeroPoint: Tensor } {
    const low = this.#low.detach();
    const scale = this.#high
      .detach()
      .sub(low)
      .div(levels(this.bits) - 1);
    const zeroPoint = low.neg().div(scale);
    return { scale, zeroPoint: this.options.aligned ? zeroPoint.round() : zeroPoint };
  }
}

/** The same with a grid that stays: what was stored computes the same bits as what was learnt. */
export class StoredTensorQuantizer implements ActivationQuantizer {
  readonly parameters: readonly Parameter[] = [];
  readonly #scale: Tensor;
  readonly #zeroPoint: Tensor;
  readonly #whole: boolean;

  constructor(
    private readonly bits: number,
    { scale, zeroPoint }: TensorGrid,
    device: Tensor["device"],
  ) {
    this.#whole = Number.isInteger(zeroPoint);
    this.#scale = keep(Tensor.full([1], scale, { device }));
    this.#zeroPoint = keep(Tensor.full([1], zeroPoint, { device }));
  }

  apply(x: Tensor): Tensor {
    const [scale, zeroPoint] = [this.#scale, this.#zeroPoint];
    return differentiable(
      [x],
      () => ({
        output: rounded(x, { scale, zeroPoint, whole: this.#whole }, this.bits),
        saved: [x, scale, zeroPoint],
      }),
      (gradient, saved) => {
        const place = placeOf(...(saved as [Tensor, Tensor, Tensor]));
        return [gradient.mul(place.gt(0).logicalAnd(place.lt(levels(this.bits) - 1)))];
      },
    );
  }

  value(): number {
    return this.#scale.item();
  }

  zeroPoint(): number {
    return this.#zeroPoint.item();
  }

  dispose(): void {
    this.#scale.dispose();
    this.#zeroPoint.dispose();
  }
}

/** The ends that belong to a grid. */
export function clipsOf({ scale, zeroPoint }: TensorGrid, bits: number): Clips {
  return { low: -scale * zeroPoint, high: scale * (levels(bits) - 1 - zeroPoint) };
}

// `u = (x - low) / scale`, where x lies among the levels before it is rounded.
function placeOf(x: Tensor, scale: Tensor, zeroPoint: Tensor): Tensor {
  return x.to("float32").div(scale).add(zeroPoint);
}

function rounded(
  x: Tensor,
  { scale, zeroPoint, whole }: { readonly scale: Tensor; readonly zeroPoint: Tensor; readonly whole: boolean },
  bits: number,
): Tensor {
  const units = x.detach().to("float32").div(scale);
  // Integer formats add a whole zero point behind the rounding (ONNX QuantizeLinear): of a tie it would decide which level is even, and
  // what is added first costs digits.
  const places = whole ? units.round_().add_(zeroPoint) : units.add_(zeroPoint);
  const codes = places.clamp_(0, levels(bits) - 1);
  return (whole ? codes : codes.round_()).sub_(zeroPoint).mul_(scale).to(x.dtype);
}
