import { callTensor, noGrad, scope, Tensor } from "../../tensor/index.js";
import { type Codes, dequantize } from "../grid/grid.js";
import type { Scheme } from "../scheme.js";
import type { SecondMoments } from "../second-moments.js";
import { type ColumnFactor, columnFactor, type GptqOptions, type GptqResult, gptqRows } from "./gptq.js";
import { inverseFactor } from "./inverse-factor.js";

/** Rows make up for each other as well, so that no row has a loss of its own. */
type RowColumnResult = Omit<GptqResult, "loss">;

/** What the error of a weight of heads costs: `sum over heads of tr(R_h dW_h C_h dW_h^T)`, `dW_h [width, in]`. */
export interface HeadFactors {
  /** `C_h`: of each head, or one for all. */
  readonly columns: readonly SecondMoments[];
  /** `R_h`, fp32 `[heads, width, width]`; null for the identity. */
  readonly rows: Tensor | null;
  readonly heads: number;
}

export interface RowColumnOptions extends GptqOptions {
  /** Rows of a head that are rounded before what they lost is made up for by the rest: see {@link rowsOfStep}. Defaults to 1. */
  readonly rowsAtOnce?: number;
  /** Damping of the row factors, as that of the columns. Defaults to 0.01. */
  readonly rowDamping?: number;
}

/**
 * BoA's solver: GPTQ along the columns of a row; what the row has lost after that is made up for by the rows of its head that
 * follow, `w_j -= (U[r, j] / U[r, r]) (w_r - q_r)`, `U` the upper Cholesky factor of the inverse of `R_h`. All heads go row by row
 * at the same time. Where rows do not depend on each other it is GPTQ. Source: arXiv 2406.13474, algorithm 1; rows in blocks are
 * those of TurboBoA.
 *
 * The order of the rows is that of the heads; an order by their diagonal would be a permutation that rotary pairs do not allow.
 * Both Cholesky factors are in fp32, whose products libtorch never computes in TF32 unless asked, and in fp64 where that fails.
 *
 * @param weight fp32 `[heads width, in]`
 */
export function rowColumn(
  weight: Tensor,
  { columns, rows, heads }: HeadFactors,
  scheme: Scheme,
  layer: string,
  options: RowColumnOptions = {},
): RowColumnResult {
  return noGrad(() =>
    scope(() => {
      const factorOf = (moments: SecondMoments): ColumnFactor => columnFactor(moments, options, "double");
      const [shared, ...others] = columns;
      if (shared === undefined) throw new TypeError(`${layer}: no second moments`);
      if (others.length === 0) return solve(weight, factorOf(shared), rows, heads, scheme, layer, options);
      const width = weight.size(0) / heads;
      // One factor at a time: there are as many squares of the inputs as heads already.
      const parts = columns.map((moments, head) =>
        scope(() => {
          const own = weight.narrow(0, head * width, width);
          return solve(own, factorOf(moments), rows?.narrow(0, head, 1) ?? null, 1, scheme, layer, options);
        }),
      );
      return {
        codes: joined(parts.map(({ codes }) => codes)),
        corrected: options.keepCorrected === true ? Tensor.cat(parts.map(correctedOf)) : null,
        damping: Math.max(...parts.map(({ damping }) => damping)),
      };
    }),
  );
}

/** Rows of a head of `width` that are rounded at once. Of all of them no row would be left to make up for anything: then a quarter. */
export function rowsOfStep(rowsAtOnce: number, width: number): number {
  return rowsAtOnce < width ? rowsAtOnce : Math.max(1, Math.floor(width / 4));
}

function solve(
  weight: Tensor,
  columns: ColumnFactor,
  rows: Tensor | null,
  heads: number,
  scheme: Scheme,
  layer: string,
  options: RowColumnOptions,
): RowColumnResult {
  if (rows === null) return gptqRows(weight, columns, scheme, layer, options);
  const [width, inputs] = [weight.size(0) / heads, weight.size(1)];
  const step = rowsOfStep(options.rowsAtOnce ?? 1, width);
  const factor = rowFactors(rows, options.rowDamping ?? 0.01);
  // A copy, because it is corrected.
  const left = weight.clone().reshape([heads, width, inputs]);
  const done: RowColumnResult[] = [];
  for (let first = 0; first < width; first += step) {
    const count = Math.min(step, width - first);
    const found = scope(() => {
      const own = left.narrow(1, first, count);
      const result = gptqRows(own.reshape([heads * count, inputs]), columns, scheme, layer, options);
      const rest = width - first - count;
      if (rest > 0) {
        const lost = own.sub(dequantize(result.codes).reshape([heads, count, inputs]));
        const shares = sharesOf(factor, first, count);
        left.narrow(1, first + count, rest).sub_(shares.matmul(lost));
      }
      return result;
    });
    done.push(found);
  }
  const inOrder = (tensor: (result: RowColumnResult) => Tensor): Tensor => {
    // [heads count, ...] of each step, back to [heads width, ...].
    const parts = done.map((result) => {
      const part = tensor(result);
      return part.reshape([heads, part.size(0) / heads, part.numel / part.size(0)]);
    });
    const [whole] = done;
    const shape = whole === undefined ? [] : tensor(whole).shape.slice(1);
    return Tensor.cat(parts, 1).reshape([heads * width, ...shape]);
  };
  const [{ codes: grid }] = done as [RowColumnResult];
  return {
    codes: {
      ...grid,
      codes: inOrder(({ codes }) => codes.codes),
      scale: inOrder(({ codes }) => codes.scale),
      zeroPoint: inOrder(({ codes }) => codes.zeroPoint),
    },
    corrected: options.keepCorrected === true ? inOrder(correctedOf) : null,
    damping: columns.damping,
  };
}

// `U_BR^T U_BB^-T`, [heads, rest, count]: what each of the rows that are left takes over of what rows B lost; for one row
// U[r, j] / U[r, r].
function sharesOf(factor: Tensor, first: number, count: number): Tensor {
  const rest = factor.size(1) - first - count;
  const own = factor.narrow(1, first, count);
  const [block, toRest] = [own.narrow(2, first, count), own.narrow(2, first + count, rest)];
  if (count === 1) return toRest.div(block).transpose(1, 2);
  return callTensor("aten::linalg_solve_triangular", [block, toRest], { upper: true }).transpose(1, 2);
}

function rowFactors(rows: Tensor, damping: number): Tensor {
  const heads = Array.from({ length: rows.size(0) }, (_, head) =>
    scope(() => inverseFactor(rows.select(0, head).clone(), damping, "double").factor),
  );
  return Tensor.stack(heads);
}

function correctedOf({ corrected }: RowColumnResult): Tensor {
  if (corrected === null) throw new TypeError("the corrected weight was not kept");
  return corrected;
}

function joined(parts: readonly Codes[]): Codes {
  const [first] = parts as [Codes];
  return {
    ...first,
    codes: Tensor.cat(parts.map(({ codes }) => codes)),
    scale: Tensor.cat(parts.map(({ scale }) => scale)),
    zeroPoint: Tensor.cat(parts.map(({ zeroPoint }) => zeroPoint)),
  };
}
