import { noGrad, scope, Tensor } from "../tensor/index.js";
import { type Grid, grouped, storableScale } from "./grid.js";
import { groupColumns, levels, type Scheme } from "./scheme.js";

export interface RangeOptions {
  /** Clip ratios tried per group, from 1 down to `smallest`. Defaults to 60. */
  readonly candidates?: number;
  /** The smallest clip ratio tried. Defaults to 0.4. */
  readonly smallest?: number;
  /** Weight of each column's squared error, fp32 `[in]` (mean square of the inputs); plain when absent. */
  readonly importance?: Tensor;
}

/**
 * The starting grid of a weight `[out, in]`: per group the range, shrunk by the clip ratio whose
 * round-to-nearest error is least. Symmetric grids try both signs of the scale.
 *
 * @throws OptionError when the scheme's group does not divide the width.
 */
export function searchRange(weight: Tensor, scheme: Scheme, layer: string, options: RangeOptions = {}): Grid {
  const groupSize = groupColumns(scheme, weight.size(1), layer);
  const { bits, symmetric } = scheme;
  const candidates = options.candidates ?? 60;
  const smallest = options.smallest ?? 0.4;
  const found = noGrad(() =>
    scope(() => {
      const w = grouped(weight, groupSize);
      const importance =
        options.importance === undefined ? null : options.importance.reshape([1, w.size(1), groupSize]);
      const minimum = w.amin(2, true).clamp(null, 0);
      const maximum = w.amax(2, true).clamp(0);
      // The code -2^(bits-1) is the extra level; a negative scale gives it to a longer positive tail.
      const sign = symmetric ? minimum.neg().ge(maximum).to("float32").mul(2).sub(1) : null;
      let best: { error: Tensor; scale: Tensor; zeroPoint: Tensor } | null = null;
      const directions = sign === null ? [null] : [sign, sign.neg()];
      for (const direction of directions) {
        for (let i = 0; i < candidates; i++) {
          const ratio = 1 - (i / Math.max(1, candidates - 1)) * (1 - smallest);
          const next = scope(() => {
            const grid =
              direction === null
                ? asymmetricGrid(minimum, maximum, ratio, bits)
                : symmetricGrid(minimum, maximum, direction, ratio, bits);
            const error = roundingError(w, grid, bits, importance);
            if (best === null) return { error, ...grid };
            const better = error.lt(best.error);
            return {
              error: Tensor.where(better, error, best.error),
              scale: Tensor.where(better, grid.scale, best.scale),
              zeroPoint: Tensor.where(better, grid.zeroPoint, best.zeroPoint),
            };
          });
          best = next;
        }
      }
      const { scale, zeroPoint } = best as unknown as { scale: Tensor; zeroPoint: Tensor };
      return { scale, zeroPoint };
    }),
  );
  return { bits, symmetric, groupSize, ...found };
}

type Range = Pick<Grid, "scale" | "zeroPoint">;

function symmetricGrid(minimum: Tensor, maximum: Tensor, sign: Tensor, ratio: number, bits: number): Range {
  const half = levels(bits) / 2;
  const absolute = minimum.neg().maximum(maximum);
  const scale = storableScale(
    absolute
      .mul(ratio / half)
      .clamp(1e-5)
      .mul(sign),
  );
  return { scale, zeroPoint: Tensor.full(scale.shape, half, { device: scale.device }) };
}

function asymmetricGrid(minimum: Tensor, maximum: Tensor, ratio: number, bits: number): Range {
  const top = levels(bits) - 1;
  const scale = storableScale(maximum.sub(minimum).mul(ratio / top));
  return { scale, zeroPoint: minimum.mul(-ratio).div(scale).round().clamp(0, top) };
}

// Squared error of round-to-nearest per group, [out, groups, 1].
function roundingError(w: Tensor, { scale, zeroPoint }: Range, bits: number, importance: Tensor | null): Tensor {
  const error = w
    .div(scale)
    .round_()
    .add_(zeroPoint)
    .clamp_(0, levels(bits) - 1)
    .sub_(zeroPoint)
    .mul_(scale)
    .sub_(w)
    .square();
  return (importance === null ? error : error.mul(importance)).sum(2, true);
}
