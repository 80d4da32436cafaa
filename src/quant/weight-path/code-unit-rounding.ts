import { type DType, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import { type Codes, type Grid, grouped, learntScale, storableScale, ungrouped } from "../grid/grid.js";
import type { Parameter } from "../parameter.js";
import { levels } from "../scheme.js";
import { codeUnitRound } from "./code-unit-round.js";
import { gridParameters } from "./grid-parameters.js";
import type { RoundingPenalty, WeightPath } from "./weight-path.js";

export interface CodeUnitOptions {
  /** Bound of `V` in code units; 0.5 lets a code move to its neighbour at most. Null trains `W` freely. */
  readonly limit?: number | null;
  /** Codes `[out, in]` to start from, where they lie within `limit` of the weight. */
  readonly start?: Tensor;
}

/**
 * How far from the boundary to the next code a weight starts whose code is given. Adam's first steps move every V by the
 * rate, so with almost none (1e-3) half of GPTQ's codes are lost in one step and the loss of SmolLM2's first window rises
 * sixtyfold; with half a unit it takes a hundred steps before any code can change. Measured in docs/measurements/ablations.md.
 */
const START_MARGIN = 0.05;

/**
 * Code-unit rounding: `q = clip(round(W / s + V) + z)`, `w = s (q - z)`, `s = s0 exp(a)`, with a
 * straight-through round. `V` and `z` are in units of one code and `a` is a logarithm, so one
 * learning rate means the same in every layer. What is trained is what is exported: the round is
 * hard from the first step.
 * Our own form of what Block-AP in EfficientQAT trains (arXiv 2407.11062, section 3.2): an offset in place of the weight.
 */
export class CodeUnitRounding implements WeightPath {
  readonly hasPenalty = false;
  readonly parameters: readonly Parameter[];
  readonly #weight: Tensor;
  readonly #grid: Grid;
  readonly #v: Tensor;
  readonly #logScale: Tensor;
  readonly #zeroPoint: Tensor;

  /** `weight` `[out, in]`, which it keeps a view of; fp32, or bf16 where kernels take it. */
  constructor(weight: Tensor, grid: Grid, options: CodeUnitOptions = {}) {
    const { device } = weight;
    this.#grid = { ...grid, scale: keep(grid.scale.clone()) };
    const limit = options.limit === undefined ? 0.5 : options.limit;
    this.#weight = keep(grouped(weight.detach(), grid.groupSize));
    this.#v = keep(scope(() => this.#startingV(options.start, limit))).requiresGrad_();
    this.#logScale = keep(Tensor.zeros(grid.scale.shape, { device })).requiresGrad_();
    this.#zeroPoint = keep(grid.zeroPoint.clone());
    if (!grid.symmetric) this.#zeroPoint.requiresGrad_();
    this.parameters = [
      { role: "rounding", name: "V", tensor: this.#v, ...(limit === null ? {} : { bounds: [-limit, limit] as const }) },
      ...gridParameters(grid, this.#logScale, this.#zeroPoint),
    ];
  }

  weight(_penalty?: RoundingPenalty | null, dtype: DType = "float32"): Tensor {
    const scale = learntScale(this.#grid.scale, this.#logScale);
    const grid = { ...this.#grid, scale, zeroPoint: this.#zeroPoint };
    return ungrouped(codeUnitRound({ weight: this.#weight, V: this.#v, grid }, dtype));
  }

  harden(): Codes {
    return noGrad(() => {
      const scale = scope(() => storableScale(this.#grid.scale.mul(this.#logScale.exp())));
      const zeroPoint = this.#zeroPoint.round();
      const codes = scope(() =>
        ungrouped(
          this.#weight
            .div(scale)
            .add(this.#v)
            .round()
            .add(zeroPoint)
            .clamp(0, levels(this.#grid.bits) - 1),
        ),
      );
      return { ...this.#grid, scale, zeroPoint, codes };
    });
  }

  dispose(): void {
    for (const tensor of [this.#grid.scale, this.#weight, this.#v, this.#logScale, this.#zeroPoint]) {
      tensor.dispose();
    }
  }

  #startingV(codes: Tensor | undefined, limit: number | null): Tensor {
    if (codes === undefined) return Tensor.zeros(this.#weight.shape, { device: this.#weight.device });
    const distance = grouped(codes, this.#grid.groupSize)
      .sub(this.#grid.zeroPoint)
      .sub(this.#weight.div(this.#grid.scale));
    const v = distance.sub(distance.clamp(-0.5 + START_MARGIN, 0.5 - START_MARGIN));
    return limit === null ? v : v.clamp(-limit, limit);
  }
}
