import { callTensors, hasKernel, noGrad, scope, Tensor } from "../../tensor/index.js";
import { groupColumns, levels, type Scheme } from "../scheme.js";
import { type Grid, grouped, storableScale } from "./grid.js";

export interface RangeOptions {
  /** Clip ratios tried per group, from 1 down to `smallest`. Defaults to 60. */
  readonly candidates?: number;
  /** The smallest clip ratio tried. Defaults to 0.4. */
  readonly smallest?: number;
  /** Power of the error that is least. Defaults to 2. */
  readonly power?: number;
  /** Weight of each column's squared error, fp32 `[in]` (mean square of the inputs); plain when absent. */
  readonly importance?: Tensor;
}

/**
 * The starting grid of a weight `[out, in]`: per group the range, shrunk by the clip ratio whose
 * round-to-nearest error is least. Symmetric grids try both signs of the scale, asymmetric ones the zero
 * points around the range's own (jointly with the scale, as NeUQI does, arXiv 2505.17595).
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
      const { power = 2, importance = null } = options;
      const search: Search = { bits, symmetric, candidates, smallest, power, importance };
      return power === 2 && hasKernel(fused, w) ? fusedSearch(w, search) : composedSearch(w, search);
    }),
  );
  return { bits, symmetric, groupSize, ...found };
}

interface Search extends Required<Pick<RangeOptions, "candidates" | "smallest">> {
  /** Defaults to 2. */
  readonly power?: number;
  readonly bits: number;
  readonly symmetric: boolean;
  /** fp32 `[in]`. */
  readonly importance: Tensor | null;
}

const fused = "crossblock::range_search";

function fusedSearch(w: Tensor, { importance, bits, symmetric, candidates, smallest }: Search): Range {
  const found = callTensors(fused, [w, importance, bits, symmetric, candidates, smallest, NEIGHBOURS, REFINEMENTS]);
  const [scale, zeroPoint] = found as [Tensor, Tensor];
  return { scale, zeroPoint };
}

/**
 * The same out of libtorch's operators: for devices without the kernel, and what it is tested against.
 *
 * @param w fp32 `[out, groups, groupSize]`
 */
export function composedSearch(w: Tensor, search: Search): Range {
  const { bits, symmetric, candidates, smallest, power = 2 } = search;
  const importance = search.importance?.reshape([1, w.size(1), w.size(2)]) ?? null;
  const minimum = w.amin(2, true).clamp(null, 0);
  const maximum = w.amax(2, true).clamp(0);
  // The code -2^(bits-1) is the extra level; a negative scale gives it to a longer positive tail.
  const sign = symmetric ? minimum.neg().ge(maximum).to("float32").mul(2).sub(1) : null;
  const scored = (range: Range): Scored => ({ ...range, error: roundingError(w, range, bits, power, importance) });
  let best: Scored | null = null;
  const ranges: ((ratio: number) => Range)[] =
    sign === null
      ? zeroPointOffsets(candidates).map((offset) => (ratio) => asymmetricRange(minimum, maximum, ratio, bits, offset))
      : [sign, sign.neg()].map((direction) => (ratio) => symmetricRange(minimum, maximum, direction, ratio, bits));
  for (const rangeAt of ranges) {
    for (let i = 0; i < candidates; i++) {
      const ratio = 1 - (i / Math.max(1, candidates - 1)) * (1 - smallest);
      const before: Scored | null = best;
      best = scope(() => {
        const found = scored(rangeAt(ratio));
        return before === null ? found : better(found, before);
      });
    }
  }
  for (let i = 0; candidates > 1 && i < REFINEMENTS; i++) {
    const before = best as Scored;
    best = scope(() => better(scored(fittedScale(w, before, bits, importance)), before));
  }
  const { scale, zeroPoint } = best as Scored;
  return { scale, zeroPoint };
}

/** The grid with every range `width` times as wide; codes and zero points keep their meaning. */
export function widened<R extends Range>(grid: R, width: number): R {
  return width === 1 ? grid : { ...grid, scale: storableScale(grid.scale.mul(width)) };
}

/** Zero points tried on each side of the one that follows from the range: all there are at 2 bits. */
const NEIGHBOURS = 3;

// 0, 1, -1, 2, -2, ...; a range that is not searched takes its own.
function zeroPointOffsets(candidates: number): number[] {
  if (candidates === 1) return [0];
  return Array.from({ length: 2 * NEIGHBOURS + 1 }, (_, i) => (i % 2 === 1 ? (i + 1) / 2 : -i / 2));
}

/** Least-squares fits of the scale to the codes that it gave, after the search. */
const REFINEMENTS = 4;

export type Range = Pick<Grid, "scale" | "zeroPoint">;

interface Scored extends Range {
  /** `[out, groups, 1]` */
  readonly error: Tensor;
}

function better(a: Scored, b: Scored): Scored {
  const wins = a.error.lt(b.error);
  return {
    error: Tensor.where(wins, a.error, b.error),
    scale: Tensor.where(wins, a.scale, b.scale),
    zeroPoint: Tensor.where(wins, a.zeroPoint, b.zeroPoint),
  };
}

function symmetricRange(minimum: Tensor, maximum: Tensor, sign: Tensor, ratio: number, bits: number): Range {
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

function asymmetricRange(minimum: Tensor, maximum: Tensor, ratio: number, bits: number, offset: number): Range {
  const top = levels(bits) - 1;
  const scale = storableScale(maximum.sub(minimum).mul(ratio / top));
  return { scale, zeroPoint: minimum.mul(-ratio).div(scale).round().clamp(0, top).add(offset).clamp(0, top) };
}

// The scale that serves the codes of round-to-nearest best: sum(w d) / sum(d^2), d = code - zeroPoint.
function fittedScale(w: Tensor, { scale, zeroPoint }: Range, bits: number, importance: Tensor | null): Range {
  const d = distances(w, { scale, zeroPoint }, bits);
  const weighted = importance === null ? d : d.mul(importance);
  const fitted = weighted.mul(w).sum(2, true).div(weighted.mul(d).sum(2, true).clamp(1e-20));
  return { scale: Tensor.where(fitted.eq(0), scale, storableScale(fitted)), zeroPoint };
}

// A power of the error of round-to-nearest per group, [out, groups, 1].
function roundingError(w: Tensor, range: Range, bits: number, power: number, importance: Tensor | null): Tensor {
  const difference = distances(w, range, bits).mul_(range.scale).sub_(w);
  const error = power === 2 ? difference.square() : difference.abs().pow(power);
  return (importance === null ? error : error.mul(importance)).sum(2, true);
}

// Codes of round-to-nearest less the zero point.
function distances(w: Tensor, { scale, zeroPoint }: Range, bits: number): Tensor {
  return w
    .div(scale)
    .round_()
    .add_(zeroPoint)
    .clamp_(0, levels(bits) - 1)
    .sub_(zeroPoint);
}
