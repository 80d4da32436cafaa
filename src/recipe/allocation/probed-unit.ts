import { mapPorts, type Ports } from "../../calibration/port-store.js";
import {
  type LinearWeights,
  linearOf,
  loadTensor,
  loadUnit,
  mapUnit,
  multiplied,
  type OpenNetwork,
  type OwnedUnitWeights,
  standsFor,
  type UnitPlan,
} from "../../network/index.js";
import { dequantize, roundToNearest } from "../../quant/grid/grid.js";
import { searchRange } from "../../quant/grid/range.js";
import type { Scheme } from "../../quant/scheme.js";
import {
  type DType,
  differentiable,
  enableGrad,
  freeOnError,
  gradientsOf,
  keep,
  noGrad,
  type RowGroups,
  scope,
  Tensor,
} from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";

/** What becomes of a Linear's weight at some widths. */
export interface Rounding {
  readonly scheme: Scheme;
  readonly widths: readonly number[];
  /** Clip ratios tried for each group's range. */
  readonly candidates: number;
  /** Weighs the error of each column, fp32 `[in]`; null for all alike. */
  readonly importance: Tensor | null;
}

interface Change {
  /** `dW` for every width, `[out, in]` in the products' dtype. */
  readonly byWidth: readonly Tensor[];
  /** Sums of `(g . dW x)^2` over tokens, fp32 `[widths]`. */
  readonly sums: Tensor;
}

/**
 * A unit in full precision whose Linears are watched: what they are given on the way forward, and on the way back how far
 * changes of their weights go along the gradient of their outputs.
 */
export class ProbedUnit implements Disposable {
  #weights: OwnedUnitWeights;
  readonly #squares = new Map<string, Tensor>();
  /** By the Linear's name in the unit. */
  readonly #changes = new Map<string, Change>();
  /** Sequences that were counted: a part that fails for memory comes once more, in smaller ones. */
  #counted = 0;

  constructor(
    { checkpoint, device }: Pick<RecipeJob, "checkpoint" | "device">,
    private readonly unit: UnitPlan,
    private readonly network: OpenNetwork,
  ) {
    const to = { device, dtype: "float32" } as const;
    this.#weights = loadUnit((name, shape) => loadTensor(checkpoint, name, shape, to), unit);
  }

  /** What rounding changes of a Linear's weight; before `cast`. */
  round(layer: string, { scheme, widths, candidates, importance }: Rounding, dtype: DType): void {
    const { weight } = linearOf(this.#weights, layer);
    const byWidth: Tensor[] = [];
    freeOnError([{ dispose: () => disposeAll(byWidth) }], () => {
      for (const bits of widths) {
        const change = (): Tensor => {
          const options = { candidates, ...(importance === null ? {} : { importance }) };
          const grid = searchRange(weight, { ...scheme, bits }, layer, options);
          return dequantize(roundToNearest(weight, grid)).sub_(weight).to(dtype);
        };
        byWidth.push(keep(noGrad(() => scope(change))));
      }
    });
    this.#changes.set(layer, { byWidth, sums: keep(Tensor.zeros([widths.length], { device: weight.device })) });
  }

  /** Brings the weights to the products' dtype. */
  cast(dtype: DType): void {
    const before = this.#weights;
    this.#weights = noGrad(() => mapUnit(before, (tensor) => keep(tensor.to(dtype))));
    before.dispose();
  }

  /** The unit's output of the sequences `part`; adds up the squares of what its Linears are given. */
  forward(x: Ports, part: readonly number[]): Ports {
    const squares = new Map<string, Tensor>();
    const observe = (layer: string, input: Tensor): void => {
      if (standsFor(this.unit, layer) !== layer) return;
      const rows = input.reshape([-1, input.size(-1)]);
      squares.set(
        layer,
        scope(() => rows.to("float32").square().sum(0)),
      );
    };
    const output = this.network.run(this.unit, this.#weights, x, { observe });
    this.#count(part, () => {
      for (const [layer, sum] of squares) {
        const held = this.#squares.get(layer);
        if (held === undefined) this.#squares.set(layer, keep(sum.clone()));
        else held.add_(sum);
      }
    });
    return output;
  }

  /** Sums of the squares of each input, fp32 `[in]`, by the first Linear that reads it; the caller owns them. */
  takeSquares(): ReadonlyMap<string, Tensor> {
    const taken = new Map(this.#squares);
    this.#squares.clear();
    return taken;
  }

  /** From the gradients of the unit's output to those of its input; adds up what the changes do on the way. */
  back(x: Ports, gradients: Ports, part: readonly number[]): Ports {
    const sums = new Map<string, Tensor>();
    const product = (layer: string, input: Tensor, linear: LinearWeights, groups?: RowGroups): Tensor => {
      const output = multiplied(input, linear.weight, linear, groups);
      const change = this.#changes.get(layer);
      if (change === undefined) return output;
      return differentiable(
        [output],
        () => ({ output: output.clone(), saved: groups === undefined ? [input] : [input, groups.ids, groups.ends] }),
        (gradient, [given, ids, ends]) => {
          const same =
            groups === undefined ? undefined : { count: groups.count, ids: ids as Tensor, ends: ends as Tensor };
          sums.set(layer, keep(alongGradient(given as Tensor, gradient, change.byWidth, same)));
          return [gradient];
        },
      );
    };
    try {
      const leaves = mapPorts(x, (tensor) => tensor.detach().requiresGrad_());
      const output = enableGrad(() => this.network.run(this.unit, this.#weights, leaves, { product }));
      const names = Object.keys(output);
      const found = gradientsOf(
        names.map((name) => output[name] as Tensor),
        names.map((name) => leaves[name] as Tensor),
        names.map((name) => gradients[name] as Tensor),
      );
      this.#count(part, () => {
        for (const [layer, sum] of sums) this.#changes.get(layer)?.sums.add_(sum);
      });
      return Object.fromEntries(
        names.map((name, i) => [name, found[i] ?? Tensor.zeros((x[name] as Tensor).shape, x[name] as Tensor)]),
      );
    } finally {
      disposeAll([...sums.values()]);
    }
  }

  /** Half of the mean over so many tokens of `(g . dW x)^2`, for every width that a Linear was rounded to. */
  losses(layer: string, tokens: number): readonly number[] {
    const sums = this.#changes.get(layer)?.sums.toFloat32Array() ?? [];
    return Array.from(sums, (sum) => sum / (2 * tokens));
  }

  [Symbol.dispose](): void {
    for (const { byWidth, sums } of this.#changes.values()) disposeAll([...byWidth, sums]);
    disposeAll([...this.#squares.values()]);
    this.#weights.dispose();
  }

  #count(part: readonly number[], add: () => void): void {
    if ((part[0] ?? 0) < this.#counted) return;
    noGrad(add);
    this.#counted = (part.at(-1) ?? 0) + 1;
  }
}

// Sums over tokens of (g . dW x)^2, fp32 `[widths]`.
function alongGradient(
  input: Tensor,
  gradient: Tensor,
  changes: readonly Tensor[],
  groups: RowGroups | undefined,
): Tensor {
  return noGrad(() =>
    scope(() => {
      const x = input.detach().reshape([-1, input.size(-1)]);
      const g = gradient.reshape([-1, gradient.size(-1)]);
      const sums = changes.map((change) =>
        scope(() => multiplied(x, change, { bias: null }, groups).mul(g).to("float32").sum(1).square().sum()),
      );
      return Tensor.stack(sums.map((sum) => sum.reshape([])));
    }),
  );
}

function disposeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}
