import { noGrad, scope, Tensor, TensorError } from "../tensor/index.js";
import { type Codes, dequantize } from "./grid.js";
import { searchRange, widened } from "./range.js";
import { groupColumns, levels, type Scheme } from "./scheme.js";
import type { SecondMoments } from "./second-moments.js";

export interface GptqOptions {
  /** Damping as a share of the mean diagonal; multiplied by 10 until the Cholesky succeeds. Defaults to 0.01. */
  readonly damping?: number;
  /** Columns whose corrections are applied to the rest at once. Defaults to 128. */
  readonly blockSize?: number;
  /** Weigh the range search with the mean squares of the inputs. Defaults to false. */
  readonly weightedRange?: boolean;
  /** Clip ratios tried for each group's range. */
  readonly candidates?: number;
  /**
   * Factors by which the ranges found are widened; each output row keeps the one that loses least of its output.
   * Defaults to 1 alone.
   */
  readonly widths?: readonly number[];
}

/** What GPTQ found, and the damping that it took. */
export interface GptqResult {
  readonly codes: Codes;
  readonly damping: number;
}

/**
 * GPTQ: columns are rounded one after the other, and what each rounding lost is made up for by the
 * columns that follow, by the inverse of the inputs' second moments. A group's range is searched on
 * its weights as corrected so far; that search minimises the weights' own error, so other widths of the range may
 * lose less of the output, and rows are independent of each other.
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
  return noGrad(() =>
    scope(() => {
      const { factor, dead, damping } = inverseFactor(moments, options.damping ?? 0.01);
      const [first = 1, ...others] = options.widths ?? [1];
      const attempt = (width: number): Attempt =>
        scope(() => {
          const codes = roundColumns(weight, factor, dead, moments, scheme, layer, width, options);
          return { codes, loss: outputLoss(weight.sub(dequantize(codes)), moments) };
        });
      const best = others.reduce((kept, width) => scope(() => better(attempt(width), kept)), attempt(first));
      return { codes: best.codes, damping };
    }),
  );
}

interface Attempt {
  readonly codes: Codes;
  /** Squared error of the output that each row of the weight gives, `[out, 1]`. */
  readonly loss: Tensor;
}

function outputLoss(error: Tensor, moments: SecondMoments): Tensor {
  return error.matmul(moments.matrix).mul(error).sum(1, true);
}

function better(a: Attempt, b: Attempt): Attempt {
  const wins = a.loss.lt(b.loss);
  const groups = wins.unsqueeze(2);
  return {
    loss: Tensor.where(wins, a.loss, b.loss),
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
  dead: Tensor,
  moments: SecondMoments,
  scheme: Scheme,
  layer: string,
  width: number,
  options: GptqOptions,
): Codes {
  const columns = weight.size(1);
  const rows = weight.size(0);
  const groupSize = groupColumns(scheme, columns, layer);
  const block = Math.min(options.blockSize ?? 128, columns);
  const top = levels(scheme.bits) - 1;
  // Transposed, so that a column of the weight is contiguous; a copy, because it is corrected.
  const w = weight.mul(dead.neg().add(1)).transpose(0, 1).contiguous();
  const codes = Tensor.empty([columns, rows], { device: weight.device });
  const scales: Tensor[] = [];
  const zeroPoints: Tensor[] = [];
  const diagonal = factor.diagonal().toFloat32Array();
  const importance = options.weightedRange === true ? moments.meanSquares() : null;
  let grid: { scale: Tensor; zeroPoint: Tensor } | null = null;
  for (let first = 0; first < columns; first += block) {
    const size = Math.min(block, columns - first);
    const errors = Tensor.empty([size, rows], { device: weight.device });
    for (let i = 0; i < size; i++) {
      const column = first + i;
      if (column % groupSize === 0) {
        grid = groupRange(
          w,
          column,
          groupSize,
          first + size,
          errors.narrow(0, 0, i),
          factor,
          first,
          scheme,
          layer,
          importance,
          width,
          options,
        );
        scales.push(grid.scale);
        zeroPoints.push(grid.zeroPoint);
      }
      const { scale, zeroPoint } = grid as { scale: Tensor; zeroPoint: Tensor };
      scope(() => {
        const x = w.select(0, column);
        const code = x.div(scale).round_().add_(zeroPoint).clamp_(0, top);
        codes.select(0, column).copy_(code);
        const lost = x.sub(code.sub_(zeroPoint).mul_(scale)).div_(diagonal[column] as number);
        errors.select(0, i).copy_(lost);
        if (i + 1 < size) {
          const rest = factor.select(0, column).narrow(0, column + 1, size - i - 1);
          w.narrow(0, column + 1, size - i - 1).sub_(rest.outer(lost));
        }
      });
    }
    const left = columns - first - size;
    if (left > 0) {
      scope(() => {
        const rest = factor.narrow(0, first, size).narrow(1, first + size, left);
        w.narrow(0, first + size, left).addmm_(rest.transpose(0, 1), errors, 1, -1);
      });
    }
  }
  return {
    bits: scheme.bits,
    symmetric: scheme.symmetric,
    groupSize,
    scale: Tensor.stack(scales, 1).unsqueeze(2),
    zeroPoint: Tensor.stack(zeroPoints, 1).unsqueeze(2),
    codes: codes.transpose(0, 1).contiguous(),
  };
}

// The range of the group that starts at `column`, on its weights with every correction so far. When
// the group reaches past the current block, the block's own corrections are still owed to that part.
function groupRange(
  w: Tensor,
  column: number,
  groupSize: number,
  blockEnd: number,
  errors: Tensor,
  factor: Tensor,
  blockStart: number,
  scheme: Scheme,
  layer: string,
  importance: Tensor | null,
  width: number,
  options: GptqOptions,
): { scale: Tensor; zeroPoint: Tensor } {
  return scope(() => {
    const group = w.narrow(0, column, groupSize).clone();
    const beyond = column + groupSize - blockEnd;
    if (beyond > 0 && errors.size(0) > 0) {
      const owed = factor.narrow(0, blockStart, errors.size(0)).narrow(1, blockEnd, beyond).transpose(0, 1);
      group.narrow(0, groupSize - beyond, beyond).addmm_(owed, errors, 1, -1);
    }
    const found = searchRange(group.transpose(0, 1).contiguous(), { ...scheme, groupSize: null }, layer, {
      ...(importance === null ? {} : { importance: importance.narrow(0, column, groupSize) }),
      ...(options.candidates === undefined ? {} : { candidates: options.candidates }),
    });
    const { scale, zeroPoint } = widened(found, width);
    return { scale: scale.reshape([-1]), zeroPoint: zeroPoint.reshape([-1]) };
  });
}

// Upper Cholesky factor of the damped inverse. Inputs that were always zero say nothing: their
// weights are zeroed and their diagonal set to one.
function inverseFactor(moments: SecondMoments, start: number): { factor: Tensor; dead: Tensor; damping: number } {
  const matrix = moments.matrix.div(Math.max(1, moments.tokens));
  const dead = matrix.diagonal().eq(0).to("float32");
  matrix.diagonal().add_(dead);
  const mean = matrix.diagonal().mean().item();
  for (let damping = start; ; damping *= 10) {
    try {
      const factor = scope(() => {
        const damped = matrix.clone();
        damped.diagonal().add_(damping * mean);
        return damped.cholesky().choleskyInverse().cholesky(true);
      });
      return { factor, dead, damping };
    } catch (error) {
      if (!(error instanceof TensorError) || error.code !== "OPERATOR" || damping > 10) throw error;
    }
  }
}
