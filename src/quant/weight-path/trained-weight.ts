import { type DType, keep, noGrad, scope, type Tensor } from "../../tensor/index.js";
import { type Codes, type Grid, grouped, storableScale, storableScaleThrough, ungrouped } from "../grid/grid.js";
import type { Parameter } from "../parameter.js";
import { levels } from "../scheme.js";
import { noOffset, roundedWeight } from "./code-unit-round.js";
import type { RoundingPenalty, WeightPath } from "./weight-path.js";

/**
 * The weight itself trained through its own quantization: `w^ = s (clip(round(W / s) + z, 0, 2^b - 1) - z)` with `W`, `s`
 * and `z` as parameters. The round passes gradients straight through; a clipped code passes none to `W`.
 * Source: Block-AP in EfficientQAT (arXiv 2407.11062), section 3.2.
 */
export class TrainedWeight implements WeightPath {
  readonly hasPenalty = false;
  readonly parameters: readonly Parameter[];
  readonly #grid: Grid;
  readonly #weight: Tensor;
  readonly #scale: Tensor;
  readonly #zeroPoint: Tensor;
  /** What the kernel adds to `W / s`; null where there is no kernel. */
  readonly #none: Tensor | null;

  /**
   * @param weight `[out, in]`, fp32, which it copies
   * @param unit what the rates of `W` and `s` are given in: `absolute` numbers, or the mean `scale` of this Linear
   * @param trains `scales` leaves `W` as it is: the same but for a rate of 0
   */
  constructor(weight: Tensor, grid: Grid, unit: "absolute" | "scale", trains: "weights" | "scales" = "weights") {
    const of = (source: Tensor): Tensor => keep(scope(() => source.detach().to("float32").clone()));
    this.#grid = grid;
    this.#weight = of(grouped(weight, grid.groupSize));
    if (trains === "weights") this.#weight.requiresGrad_();
    this.#scale = of(grid.scale).requiresGrad_();
    this.#zeroPoint = of(grid.zeroPoint);
    if (!grid.symmetric) this.#zeroPoint.requiresGrad_();
    const none = noOffset(this.#weight);
    this.#none = none === null ? null : keep(none);
    const scale = unit === "scale" ? scope(() => grid.scale.abs().mean().item()) : 1;
    this.parameters = [
      ...(trains === "weights" ? [{ role: "weight", name: "W", tensor: this.#weight, unit: scale } as const] : []),
      { role: "scale", name: "scale", tensor: this.#scale, unit: scale },
      ...(grid.symmetric
        ? []
        : [
            {
              role: "zeroPoint",
              name: "zeroPoint",
              tensor: this.#zeroPoint,
              bounds: [0, levels(grid.bits) - 1],
            } as const,
          ]),
    ];
  }

  weight(_penalty?: RoundingPenalty | null, dtype: DType = "float32"): Tensor {
    const grid = { ...this.#grid, scale: storableScaleThrough(this.#scale), zeroPoint: this.#zeroPoint };
    return ungrouped(roundedWeight({ weight: this.#weight, none: this.#none, grid }, dtype));
  }

  harden(): Codes {
    return noGrad(() => {
      const scale = scope(() => storableScale(this.#scale));
      const zeroPoint = this.#zeroPoint.round();
      const codes = scope(() =>
        ungrouped(
          this.#weight
            .div(scale)
            .round()
            .add(zeroPoint)
            // Before they are packed: packing does not clamp.
            .clamp(0, levels(this.#grid.bits) - 1),
        ),
      );
      return { ...this.#grid, scale, zeroPoint, codes };
    });
  }

  dispose(): void {
    for (const tensor of [this.#weight, this.#scale, this.#zeroPoint]) tensor.dispose();
    this.#none?.dispose();
  }
}
