import { type DType, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import { type Codes, grouped, learntScale, storableScale, ungrouped } from "../grid/grid.js";
import type { Parameter } from "../parameter.js";
import type { RoundingPenalty, WeightPath } from "./weight-path.js";

/**
 * Codes that stay, under scales that learn: `w = s (q - z)`, `s = s0 exp(a)`. What the stage after all windows trains.
 * Source: E2E-QP in EfficientQAT (arXiv 2407.11062), section 3.3, with the scale's logarithm in place of the scale.
 */
export class FixedCodes implements WeightPath {
  readonly hasPenalty = false;
  readonly parameters: readonly Parameter[];
  readonly #codes: Codes;
  readonly #logScale: Tensor;

  /** Takes copies of the codes, one byte each. */
  constructor(codes: Codes) {
    this.#codes = {
      ...codes,
      codes: keep(codes.codes.to("uint8")),
      scale: keep(codes.scale.clone()),
      zeroPoint: keep(codes.zeroPoint.clone()),
    };
    this.#logScale = keep(Tensor.zeros(codes.scale.shape, { device: codes.scale.device })).requiresGrad_();
    this.parameters = [{ role: "scale", name: "scale", tensor: this.#logScale }];
  }

  weight(_penalty?: RoundingPenalty | null, dtype: DType = "float32"): Tensor {
    const { codes, scale, zeroPoint, groupSize } = this.#codes;
    const steps = noGrad(() => grouped(codes.to("float32"), groupSize).sub(zeroPoint));
    return ungrouped(steps.mul(learntScale(scale, this.#logScale))).to(dtype);
  }

  harden(): Codes {
    const { codes, scale, zeroPoint } = this.#codes;
    return noGrad(() => ({
      ...this.#codes,
      codes: codes.to("float32"),
      scale: scope(() => storableScale(scale.mul(this.#logScale.exp()))),
      zeroPoint: zeroPoint.clone(),
    }));
  }

  dispose(): void {
    const { codes, scale, zeroPoint } = this.#codes;
    for (const tensor of [codes, scale, zeroPoint, this.#logScale]) tensor.dispose();
  }
}
