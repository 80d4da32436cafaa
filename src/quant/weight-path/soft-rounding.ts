import { type DType, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import { type Codes, type Grid, grouped, learntScale, storableScale, ungrouped } from "../grid/grid.js";
import type { Parameter } from "../parameter.js";
import { levels } from "../scheme.js";
import { gridParameters } from "./grid-parameters.js";
import { type Offset, type SoftInputs, softChoice, softRound } from "./soft-round.js";
import type { RoundingPenalty, WeightPath } from "./weight-path.js";

/**
 * Rounding between floor and ceiling: `w = s (clip(B + h(V0 + offset) + z, 0, 2^b - 1) - z)`.
 *
 * `B = floor(W / s0)` and `V0 = h^-1(frac(W / s0))` stay frozen at the starting scale `s0`; the
 * learnt scale only dequantizes. With a zero offset the soft weight equals `W` where nothing clips.
 * Source: CBQ (arXiv 2312.07950) section 3.3, AdaRound (arXiv 2004.10568).
 */
export class SoftRounding implements WeightPath {
  readonly hasPenalty = true;
  readonly parameters: readonly Parameter[];
  readonly #grid: Grid;
  readonly #weight: Tensor;
  readonly #start: Tensor | null;
  readonly #offset: Offset;
  readonly #logScale: Tensor;
  readonly #zeroPoint: Tensor;
  /** Where the penalty is a sum: what its weight and exponent are multiplied by, `[2]`, and what they come to. */
  readonly #sum: { readonly count: Tensor; readonly penalty: Tensor } | null;

  /**
   * @param weight `[out, in]`, which it keeps a view of; fp32, or bf16 where kernels take it
   * @param offset what is trained in place of `V`, which it takes over: all that tells AdaRound from LoRA-Rounding
   * @param penalty whether it is a mean over the weights, or their sum
   * @param start replaces `V0` `[out, in]` (zero, the paper's literal wording, is ruinous: 243 for 39.9 in perplexity)
   */
  constructor(weight: Tensor, grid: Grid, offset: Offset, start?: Tensor, penalty: "mean" | "sum" = "mean") {
    const { device } = weight;
    this.#sum =
      penalty === "mean"
        ? null
        : {
            count: keep(scope(() => Tensor.from(Float32Array.of(weight.numel, 1)).to(device))),
            penalty: keep(Tensor.zeros([2], { device })),
          };
    this.#grid = { ...grid, scale: keep(grid.scale.clone()) };
    this.#offset = offset;
    this.#weight = keep(grouped(weight.detach(), grid.groupSize));
    this.#start = start === undefined ? null : keep(grouped(start.clone(), grid.groupSize));
    this.#logScale = keep(Tensor.zeros(grid.scale.shape, { device })).requiresGrad_();
    this.#zeroPoint = keep(grid.zeroPoint.clone());
    if (!grid.symmetric) this.#zeroPoint.requiresGrad_();
    this.parameters = [
      ...factorsOf(offset).map((tensor, i) => ({ role: "rounding", name: `V.${i}`, tensor }) as const),
      ...gridParameters(grid, this.#logScale, this.#zeroPoint),
    ];
  }

  /** `h(V0 + offset)`, `[out, in]`. */
  soft(): Tensor {
    return ungrouped(softChoice(this.#inputs(this.#grid.scale)).soft);
  }

  weight(penalty: RoundingPenalty | null = null, dtype: DType = "float32"): Tensor {
    const scale = learntScale(this.#grid.scale, this.#logScale);
    return ungrouped(softRound(this.#inputs(scale), penalty === null ? null : this.#own(penalty), dtype));
  }

  harden(): Codes {
    return noGrad(() => {
      const scale = scope(() => storableScale(this.#grid.scale.mul(this.#logScale.exp())));
      const zeroPoint = this.#zeroPoint.round();
      const codes = scope(() => {
        const { floor, soft } = softChoice(this.#inputs(scale));
        return ungrouped(
          floor
            .add(soft.ge(0.5).to("float32"))
            .add(zeroPoint)
            .clamp(0, levels(this.#grid.bits) - 1),
        );
      });
      return { ...this.#grid, scale, zeroPoint, codes };
    });
  }

  dispose(): void {
    const owned = [this.#grid.scale, this.#weight, this.#logScale, this.#zeroPoint, ...factorsOf(this.#offset)];
    for (const tensor of owned) tensor.dispose();
    this.#start?.dispose();
    this.#sum?.count.dispose();
    this.#sum?.penalty.dispose();
  }

  // It is read again on the way back, so that it lies in a place of its own.
  #own(penalty: RoundingPenalty): RoundingPenalty {
    const sum = this.#sum;
    if (sum === null) return penalty;
    noGrad(() => scope(() => void sum.penalty.copy_(penalty.mul(sum.count))));
    return sum.penalty;
  }

  #inputs(scale: Tensor): SoftInputs {
    return {
      weight: this.#weight,
      startScale: this.#grid.scale,
      start: this.#start,
      offset: this.#offset,
      grid: { ...this.#grid, scale, zeroPoint: this.#zeroPoint },
    };
  }
}

function factorsOf({ left, right }: Offset): Tensor[] {
  return left === null ? [right] : [left, right];
}

/**
 * LoRA-Rounding: `w = s (clip(B + h(V0 + A1 A2) + z, 0, 2^b - 1) - z)` with `A1 [out, r]` and
 * `A2 [r, in]`. `A2` starts at zero, so training starts at the weight itself; two matrices of rank
 * `r` are learnt in place of one `V [out, in]`.
 * Source: CBQ (arXiv 2312.07950), section 3.3.
 */
export function loraRounding(weight: Tensor, grid: Grid, rank: number): SoftRounding {
  const [out, columns] = [weight.size(0), weight.size(1)];
  const { device } = weight;
  // Columns of A1 of unit length, so that a step of A2 moves V as far at every width and rank. Drawn on the CPU, whose
  // generator gives the same for every device.
  const A1 = keep(
    scope(() =>
      Tensor.randn([out, rank])
        .mul_(1 / Math.sqrt(rank))
        .to(device),
    ),
  ).requiresGrad_();
  const A2 = keep(Tensor.zeros([rank, columns], { device })).requiresGrad_();
  return new SoftRounding(weight, grid, { left: A1, right: A2 });
}

/**
 * AdaRound with one variable per weight: `w = s (clip(B + h(V0 + V) + z, 0, 2^b - 1) - z)`.
 * Source: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (arXiv 2004.10568).
 */
export function adaRound(weight: Tensor, grid: Grid, penalty: "mean" | "sum" = "mean"): SoftRounding {
  const V = keep(Tensor.zeros(weight.shape, { device: weight.device })).requiresGrad_();
  return new SoftRounding(weight, grid, { left: null, right: V }, undefined, penalty);
}
