import { type DType, differentiable, freeOnError, keep, noGrad, scope, Tensor } from "../../../tensor/index.js";
import { type Codes, type Grid, grouped, ungrouped } from "../../grid/grid.js";
import { type Parameter, parametersOf } from "../../parameter.js";
import type { RoundingPenalty, WeightPath } from "../weight-path.js";

/** Makes the path of groups that have the same bits, from their columns `[out, groups groupSize]`, fp32, which stay, and their grid. */
export type PathOfWidth = (weight: Tensor, grid: Grid) => WeightPath;

/**
 * A weight whose groups of columns have bits of their own: those of the same bits are one path, and all paths learn side by
 * side. The bits stay what they are.
 */
export class MixedWeight implements WeightPath {
  readonly hasPenalty = false;
  readonly grows = true;
  readonly parameters: readonly Parameter[];
  readonly #paths: readonly WeightPath[];
  /** These, and the columns that they round. */
  readonly #owned: readonly { dispose(): void }[];
  /** Where each group stands among those of all paths, and back, int64 `[groups]`. */
  readonly #places: Tensor;
  readonly #order: Tensor;

  /**
   * @param weight fp32 `[out, in]`, copied
   * @param grid with the bits of its groups; without them all have those of the grid
   */
  constructor(
    weight: Tensor,
    private readonly grid: Grid,
    pathOf: PathOfWidth,
  ) {
    const { scale, zeroPoint, groupSize, bits } = grid;
    const widths = grid.groupBits ?? new Array<number>(scale.size(1)).fill(bits);
    const kinds = [...new Set(widths)].sort((a, b) => a - b);
    const order = kinds.flatMap((width) => widths.flatMap((each, group) => (each === width ? [group] : [])));
    const [paths, owned]: [WeightPath[], { dispose(): void }[]] = [[], []];
    freeOnError(owned, () =>
      noGrad(() =>
        scope(() => {
          for (const width of kinds) {
            const own = indices(
              widths.flatMap((each, group) => (each === width ? [group] : [])),
              scale,
            );
            const part = keep(ungrouped(grouped(weight, groupSize).indexSelect(1, own)));
            owned.push(part);
            const ranges = { scale: scale.indexSelect(1, own), zeroPoint: zeroPoint.indexSelect(1, own) };
            paths.push(pathOf(part, { bits: width, groupSize, symmetric: grid.symmetric && width > 1, ...ranges }));
            owned.push(paths.at(-1) as WeightPath);
          }
        }),
      ),
    );
    this.#paths = paths;
    this.#owned = owned;
    this.#order = keep(indices(order, scale));
    this.#places = keep(
      indices(
        widths.map((_, group) => order.indexOf(group)),
        scale,
      ),
    );
    this.parameters = paths.flatMap((path, i) => parametersOf(`bits${kinds[i]}`, path.parameters));
  }

  weight(penalty?: RoundingPenalty | null, dtype: DType = "float32"): Tensor {
    const { groupSize } = this.grid;
    const parts = this.#paths.map((path) => grouped(path.weight(penalty, dtype), groupSize));
    return ungrouped(this.#placed(Tensor.cat(parts, 1)));
  }

  harden(): Codes {
    return noGrad(() =>
      scope(() => {
        const parts = this.#paths.map((path) => path.harden());
        const joined = (of: (codes: Codes) => Tensor): Tensor =>
          Tensor.cat(parts.map(of), 1).indexSelect(1, this.#places);
        return {
          ...this.grid,
          codes: ungrouped(joined(({ codes }) => grouped(codes, this.grid.groupSize))),
          scale: joined(({ scale }) => scale),
          zeroPoint: joined(({ zeroPoint }) => zeroPoint),
        };
      }),
    );
  }

  dispose(): void {
    for (const each of this.#owned) each.dispose();
    this.#places.dispose();
    this.#order.dispose();
  }

  // From the order of the paths to that of the weight. Each group goes to one place, so that its gradient comes back without a sum.
  #placed(groups: Tensor): Tensor {
    const order = this.#order;
    return differentiable(
      [groups],
      () => ({ output: groups.indexSelect(1, this.#places) }),
      (gradient) => [gradient.indexSelect(1, order)],
    );
  }
}

function indices(values: readonly number[], { device }: Tensor): Tensor {
  return scope(() => Tensor.from(BigInt64Array.from(values, BigInt), [values.length]).to(device));
}
