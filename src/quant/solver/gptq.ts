import { noGrad, scope, Tensor } from "../../tensor/index.js";
import { type Codes, dequantize } from "../grid/grid.js";
import { widestOf } from "../grid/group-grid.js";
import { type Range, searchRange, widened } from "../grid/range.js";
import { groupColumns, type Scheme } from "../scheme.js";
import type { SecondMoments } from "../second-moments.js";
import { type InverseFactor, inverseFactor } from "./inverse-factor.js";
import { refitScales } from "./refit-scales.js";
import { type GptqColumns, type GptqState, roundInTurn } from "./round-in-turn.js";

export interface GptqOptions {
  /** Damping as a share of the mean diagonal; multiplied by 10 until the Cholesky succeeds. Defaults to 0.01. */
  readonly damping?: number;
  /** Columns whose corrections are applied to the rest at once, cut to whole groups. Defaults to 128. */
  readonly blockSize?: number;
  /** Weigh the range search with the mean squares of the inputs. Defaults to true. */
  readonly weightedRange?: boolean;
  /** Clip ratios tried for each group's range. */
  readonly candidates?: number;
  /**
   * Factors by which the ranges found are widened; each output row keeps the one that loses least of its output.
   * Defaults to 1 alone.
   */
  readonly widths?: readonly number[];
  /** Bits of every group of columns, where they differ. */
  readonly groupBits?: readonly number[];
  /** Finds the range of a group, number `group`, of weights `[out, columns]`; null leaves it to the search. */
  readonly rangeOf?: (weight: Tensor, bits: number, group: number) => Range | null;
  /** Fit the scales once more to the codes. Defaults to false. */
  readonly refit?: boolean;
  /** Keep the weight as corrected for what was lost before each rounding. Defaults to false. */
  readonly keepCorrected?: boolean;
}

/** What GPTQ found. */
export interface GptqResult {
  readonly codes: Codes;
  /** The weight as it stood when each column was rounded, `[out, in]`; null unless it was asked for. */
  readonly corrected: Tensor | null;
  /** Squared error of the output that each row of the weight gives, over all inputs, `[out, 1]`; before scales are fitted again. */
  readonly loss: Tensor;
  /** The damping that it took. */
  readonly damping: number;
}

/**
 * GPTQ: columns are rounded one after the other, and what each rounding lost is made up for by the
 * columns that follow, by the inverse of the inputs' second moments. A group's range is searched on
 * its weights as corrected so far, each column's error weighed with its inputs' mean square. That search knows nothing of
 * what other columns make up for, so other widths of the range may lose less of the output, and rows are independent.
 * Source: Frantar et al. (arXiv 2210.17323).
 *
 * @param weight fp32 `[out, in]`
 */
export function gptq(
  weight: Tensor,
  moments: SecondMoments,
  scheme: Scheme,
  layer: string,
  options: GptqOptions = {},
): GptqResult {
  return noGrad(() => scope(() => gptqRows(weight, columnFactor(moments, options), scheme, layer, options)));
}

/** What GPTQ needs to know of the inputs. */
export interface ColumnFactor extends InverseFactor {
  readonly moments: SecondMoments;
}

/** Factors the second moments; `retry` as `inverseFactor` has it. */
export function columnFactor(
  moments: SecondMoments,
  { damping = 0.01 }: Pick<GptqOptions, "damping">,
  retry: "double" | "damping" = "damping",
): ColumnFactor {
  return { ...inverseFactor(moments.matrix.div(Math.max(1, moments.tokens)), damping, retry), moments };
}

/** GPTQ of some rows `[rows, in]` of a weight. No row depends on the others. */
export function gptqRows(
  weight: Tensor,
  columns: ColumnFactor,
  scheme: Scheme,
  layer: string,
  options: GptqOptions,
): GptqResult {
  const { factor, damping, moments } = columns;
  const [first = 1, ...others] = options.widths ?? [1];
  const attempt = (width: number): Attempt =>
    scope(() => {
      const rounded = roundColumns(weight, factor, moments, scheme, layer, width, options);
      return { ...rounded, loss: outputLoss(weight.sub(dequantize(rounded.codes)), moments) };
    });
  const best = others.reduce((kept, width) => scope(() => better(attempt(width), kept)), attempt(first));
  const codes = options.refit === true ? refitScales(weight, best.codes, moments) : best.codes;
  return { codes, corrected: best.corrected, loss: best.loss, damping };
}

type Attempt = Pick<GptqResult, "codes" | "corrected" | "loss">;

function outputLoss(error: Tensor, moments: SecondMoments): Tensor {
  return error.matmul(moments.matrix).mul(error).sum(1, true);
}

function better(a: Attempt, b: Attempt): Attempt {
  const wins = a.loss.lt(b.loss);
  const groups = wins.unsqueeze(2);
  return {
    loss: Tensor.where(wins, a.loss, b.loss),
    corrected: a.corrected === null || b.corrected === null ? null : Tensor.where(wins, a.corrected, b.corrected),
    codes: {
      ...a.codes,
      codes: Tensor.where(wins, a.codes.codes, b.codes.codes),
      scale: Tensor.where(groups, a.codes.scale, b.codes.scale),
      zeroPoint: Tensor.where(groups, a.codes.zeroPoint, b.codes.zeroPoint),
    },
  };
}

// One pass over the columns, on ranges `width` times as wide as those found.
function roundColumns(
  weight: Tensor,
  factor: Tensor,
  moments: SecondMoments,
  scheme: Scheme,
  layer: string,
  width: number,
  options: GptqOptions,
): Pick<GptqResult, "codes" | "corrected"> {
  const [rows, columns] = [weight.size(0), weight.size(1)];
  const { bits, symmetric } = scheme;
  const groupSize = groupColumns(scheme, columns, layer);
  const block = blockColumns(groupSize, columns, options.blockSize ?? 128);
  const importance = options.weightedRange === false ? null : moments.columnWeights();
  // A copy, because it is corrected. Columns whose inputs were always 0 stay what they are, and are rounded to nearest: other
  // inputs than those that were measured may reach them.
  const state = {
    weight: weight.clone(),
    codes: Tensor.empty([rows, columns], { device: weight.device }),
    errors: Tensor.empty([rows, columns], { device: weight.device }),
    factor,
  };
  const bitsAt = (column: number): number => options.groupBits?.[Math.floor(column / groupSize)] ?? bits;
  const scales: Tensor[] = [];
  const zeroPoints: Tensor[] = [];
  for (let first = 0; first < columns; first += block) {
    const end = Math.min(columns, first + block);
    for (let column = first; column < end; ) {
      if (column % groupSize === 0) {
        const group = state.weight.narrow(1, column, groupSize);
        const found =
          options.rangeOf?.(group, bitsAt(column), column / groupSize) ??
          searchRange(group, { ...scheme, bits: bitsAt(column), groupSize: null }, layer, {
            ...(importance === null ? {} : { importance: importance.narrow(0, column, groupSize) }),
            ...(options.candidates === undefined ? {} : { candidates: options.candidates }),
          });
        const grid = widened(found, width);
        scales.push(grid.scale.reshape([rows]));
        zeroPoints.push(grid.zeroPoint.reshape([rows]));
      }
      const [scale, zeroPoint] = [scales.at(-1) as Tensor, zeroPoints.at(-1) as Tensor];
      const next = Math.min(end, column - (column % groupSize) + groupSize);
      const columnsOf = { first: column, count: next - column, reach: end };
      if (bitsAt(column) === 1) roundBinary(state, { scale, zeroPoint, ...columnsOf });
      else roundInTurn(state, { bits: bitsAt(column), scale, zeroPoint, ...columnsOf });
      column = next;
    }
    if (end < columns) {
      scope(() => {
        const rest = factor.narrow(0, first, end - first).narrow(1, end, columns - end);
        const lost = state.errors.narrow(1, first, end - first);
        state.weight.narrow(1, end, columns - end).addmm_(lost, rest, 1, -1);
      });
    }
  }
  const codes = {
    ...(options.groupBits === undefined
      ? { bits, symmetric }
      : { bits: widestOf(options.groupBits), symmetric: false, groupBits: options.groupBits }),
    groupSize,
    scale: Tensor.stack(scales, 1).unsqueeze(2),
    zeroPoint: Tensor.stack(zeroPoints, 1).unsqueeze(2),
    codes: state.codes,
  };
  return { codes, corrected: options.keepCorrected === true ? state.weight : null };
}

// The range of a weight of one bit is around its mean: the columns are moved there, where the zero point is a code.
function roundBinary(state: GptqState, { scale, zeroPoint, first, count, reach }: Omit<GptqColumns, "bits">): void {
  scope(() => {
    const columns = state.weight.narrow(1, first, count);
    columns.add_(zeroPoint.mul(scale).unsqueeze(1));
    const whole = Tensor.zeros(zeroPoint.shape, { device: zeroPoint.device });
    roundInTurn(state, { bits: 1, scale, zeroPoint: whole, first, count, reach });
  });
}

// Whole groups, so that every group begins with all corrections that are owed to it.
function blockColumns(groupSize: number, columns: number, wanted: number): number {
  if (groupSize === columns) return Math.min(wanted, columns);
  return Math.max(1, Math.floor(wanted / groupSize)) * groupSize;
}
