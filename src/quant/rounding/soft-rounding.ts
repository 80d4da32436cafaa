import { keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import {
  type Codes,
  type Grid,
  grouped,
  roundThrough,
  storableScale,
  storableScaleThrough,
  ungrouped,
} from "../grid.js";
import { levels } from "../scheme.js";
import { commitment, h, hInverse } from "./rectified-sigmoid.js";
import type { Rounding, RoundingParameters } from "./rounding.js";

/** What is added to `V0` before `h`: the only thing in which AdaRound and LoRA-Rounding differ. */
export interface Offset {
  readonly parameters: readonly Tensor[];
  /** `[out, in]`, differentiable; zero at the start. */
  value(): Tensor;
}

/**
 * Rounding between floor and ceiling: `w = s (clip(B + h(V0 + offset) + z, 0, 2^b - 1) - z)`.
 *
 * `B = floor(W / s0)` and `V0 = h^-1(frac(W / s0))` stay frozen at the starting scale `s0`; the
 * learnt scale only dequantizes. With a zero offset the soft weight equals `W` where nothing clips.
 * Source: CBQ (arXiv 2312.07950) section 3.3, AdaRound (arXiv 2004.10568).
 */
export class SoftRounding implements Rounding {
  readonly parameters: RoundingParameters;
  readonly #grid: Grid;
  readonly #offset: Offset;
  readonly #floor: Tensor;
  readonly #start: Tensor;
  readonly #logScale: Tensor;
  readonly #zeroPoint: Tensor;

  /** `weight` fp32 `[out, in]`; `start` replaces `V0` (the specification's trap: zero there is ruinous). */
  constructor(weight: Tensor, grid: Grid, offset: Offset, start?: Tensor) {
    this.#grid = { ...grid, scale: keep(grid.scale.clone()) };
    this.#offset = offset;
    const frozen = noGrad(() =>
      scope(() => {
        const units = grouped(weight, grid.groupSize).div(grid.scale);
        const floor = units.floor();
        return { floor, start: start?.clone() ?? ungrouped(hInverse(units.sub(floor))) };
      }),
    );
    this.#floor = keep(frozen.floor);
    this.#start = keep(frozen.start);
    this.#logScale = keep(Tensor.zeros(grid.scale.shape, { device: weight.device })).requiresGrad_();
    this.#zeroPoint = keep(grid.zeroPoint.clone());
    if (!grid.symmetric) this.#zeroPoint.requiresGrad_();
    this.parameters = {
      rounding: offset.parameters,
      scale: [this.#logScale],
      zeroPoint: grid.symmetric ? [] : [this.#zeroPoint],
    };
  }

  /** `h(V0 + offset)`, `[out, in]`. */
  soft(): Tensor {
    return h(this.#start.add(this.#offset.value()));
  }

  weight(): Tensor {
    const scale = storableScaleThrough(this.#grid.scale.mul(this.#logScale.exp()));
    const zeroPoint = this.#grid.symmetric ? this.#zeroPoint : roundThrough(this.#zeroPoint);
    const codes = this.#floor
      .add(grouped(this.soft(), this.#grid.groupSize))
      .add(zeroPoint)
      .clamp(0, levels(this.#grid.bits) - 1);
    return ungrouped(codes.sub(zeroPoint).mul(scale));
  }

  regulariser(beta: number): Tensor {
    return commitment(this.soft(), beta);
  }

  project(): void {
    noGrad(() => this.#zeroPoint.clamp_(0, levels(this.#grid.bits) - 1));
  }

  harden(): Codes {
    return noGrad(() => {
      const scale = scope(() => storableScale(this.#grid.scale.mul(this.#logScale.exp())));
      const zeroPoint = this.#zeroPoint.round();
      const codes = scope(() =>
        ungrouped(
          this.#floor
            .add(grouped(this.soft().ge(0.5).to("float32"), this.#grid.groupSize))
            .add(zeroPoint)
            .clamp(0, levels(this.#grid.bits) - 1),
        ),
      );
      return { ...this.#grid, scale, zeroPoint, codes };
    });
  }

  dispose(): void {
    for (const tensor of [
      this.#grid.scale,
      this.#floor,
      this.#start,
      this.#logScale,
      this.#zeroPoint,
      ...this.#offset.parameters,
    ]) {
      tensor.dispose();
    }
  }
}
