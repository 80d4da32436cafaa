import { linearOf, type Site, type UnitWeights } from "../../network/index.js";
import { dequantize, roundToNearest } from "../../quant/grid/grid.js";
import { searchRange } from "../../quant/grid/range.js";
import type { Scheme } from "../../quant/scheme.js";
import { type DType, noGrad, scope, Tensor } from "../../tensor/index.js";
import { scaleSite } from "../scale-site.js";

export interface ZFoldOptions {
  /** Most alternations between grid and factors. */
  readonly rounds: number;
  /** Clip ratios tried for the ranges between. */
  readonly candidates: number;
}

/** Bounds of a factor: a gain has to hold it in the dtype in which it is stored. */
const [LEAST, MOST] = [1 / 4, 4];
/** An alternation that gains less than this share ends them. */
const GAIN = 1e-3;

/**
 * Z-Fold: weights that share an input get a factor for each of its columns, `w^_ij = s_i zeta_j (q_ij - z_i)`, which costs nothing
 * at run time where a norm makes the input: its gains take zeta over, and the columns are divided by it. Found in turn: the grid of
 * `W / zeta`, and the least-squares `zeta_j = sum_i w_ij q_ij / sum_i q_ij^2`, `q` what the grid makes of `W / zeta`.
 * Source: aespa (arXiv 2402.08958), section 3; Z-Fold (Jeon et al., EMNLP 2023), whose factors q, k and v share.
 *
 * @param weights fp32 `[out, in]`, all with the same inputs
 * @returns zeta `[in]`, fp32, positive: that of the round with the least squared error of rounding to nearest
 */
export function zFoldFactors(weights: readonly Tensor[], scheme: Scheme, layer: string, options: ZFoldOptions): Tensor {
  return noGrad(() =>
    scope(() => {
      const whole = weights.length === 1 ? (weights[0] as Tensor) : Tensor.cat([...weights]);
      let zeta = Tensor.ones([whole.size(1)], { device: whole.device });
      let best: { readonly zeta: Tensor; readonly error: number } | null = null;
      for (let round = 0; round <= options.rounds; round++) {
        const { error, next } = scope(() => alternate(whole, zeta, scheme, layer, options.candidates));
        if (best !== null && error > best.error * (1 - GAIN)) return error < best.error ? zeta : best.zeta;
        best = { zeta, error };
        zeta = next;
      }
      return (best as { readonly zeta: Tensor }).zeta;
    }),
  );
}

function alternate(
  weight: Tensor,
  zeta: Tensor,
  scheme: Scheme,
  layer: string,
  candidates: number,
): { error: number; next: Tensor } {
  const scaled = weight.div(zeta);
  const rounded = dequantize(roundToNearest(scaled, searchRange(scaled, scheme, layer, { candidates })));
  const error = rounded.mul(zeta).sub(weight).square().sum().item();
  const squares = rounded.square().sum(0);
  const fitted = rounded.mul(weight).sum(0).div(squares.clamp(1e-20)).clamp(LEAST, MOST);
  return { error, next: Tensor.where(squares.gt(0), fitted, zeta) };
}

/**
 * Folds the factors of every site that a norm makes into the norm and the weights, in place; the unit computes the same. Returns the
 * sites that changed. Where something else makes the input nothing is done: rows of a Linear have scales of their own already.
 *
 * @param schemeOf of a Linear of the unit
 * @param storedType dtype in which norms are stored: the gains are rounded to it, and the columns make up for that
 */
export function zFold(
  weights: UnitWeights,
  sites: Iterable<Site>,
  schemeOf: (layer: string) => Scheme,
  storedType: DType,
  options: ZFoldOptions,
): Site[] {
  return noGrad(() =>
    [...sites].filter((site) => {
      const { producer, consumers } = site;
      const [first] = consumers;
      if (producer?.kind !== "norm" || first === undefined) return false;
      scope(() => {
        const shared = consumers.map((name) => linearOf(weights, name).weight);
        const zeta = zFoldFactors(shared, schemeOf(first), first, options);
        scaleSite(weights, site, zeta.reciprocal(), storedType);
      });
      return true;
    }),
  );
}
