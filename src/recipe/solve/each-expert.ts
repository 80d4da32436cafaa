import type { Codes, Grid } from "../../quant/grid/grid.js";
import type { SecondMoments } from "../../quant/second-moments.js";
import { Tensor } from "../../tensor/index.js";
import type { InputMoments } from "../measure/site-moments.js";

/**
 * Codes or the grid of a Linear by the second moments of its inputs; of a stack of experts, those of each expert by its own.
 * Without moments rows know nothing of each other, and all experts are one weight.
 *
 * @param weight fp32 `[out, in]`, of a stack of experts `[experts * out, in]`
 */
export function chooseEach<G extends Grid>(
  weight: Tensor,
  moments: InputMoments | null,
  choose: (weight: Tensor, moments: SecondMoments | null, expert: number) => G,
): G {
  if (moments === null || moments.length === 1) return choose(weight, moments?.[0] ?? null, 0);
  const rows = weight.size(0) / moments.length;
  return stacked(moments.map((own, expert) => choose(weight.narrow(0, expert * rows, rows), own, expert)));
}

// The experts of a Linear have its scheme, so that their grids are one.
function stacked<G extends Grid>(grids: readonly G[]): G {
  const [first] = grids;
  if (first === undefined) throw new TypeError("a stack without experts");
  const along = (part: (grid: G) => Tensor | undefined): Tensor =>
    Tensor.cat(grids.map((grid) => part(grid)).filter((tensor) => tensor !== undefined));
  return {
    ...first,
    scale: along(({ scale }) => scale),
    zeroPoint: along(({ zeroPoint }) => zeroPoint),
    ...("codes" in first && { codes: along((grid) => (grid as G & Partial<Codes>).codes) }),
  };
}
