import { differentiable, type RowGroups, rowGroups, Tensor } from "../../../../tensor/index.js";

/**
 * Copies of tokens sorted by the expert that computes them, so that each expert's lie side by side. Both ways are gathers, in the
 * forward pass and in the backward pass: no sum depends on which thread comes first.
 */
export interface TokenOrder {
  readonly groups: RowGroups;
  /** Of `[tokens, width]`, the row of every copy: `[tokens * perToken, width]`. Differentiable. */
  sorted(x: Tensor): Tensor;
  /** Of `[tokens, perToken, ...]`, what belongs to every copy: `[tokens * perToken, ...]`. Differentiable. */
  sortedPairs(x: Tensor): Tensor;
  /** Of `[tokens * perToken, width]`, copies by token: `[tokens, perToken, width]`. Differentiable. */
  byToken(y: Tensor): Tensor;
}

/** @param experts of every token, int64 `[tokens, perToken]` */
export function tokenOrder(experts: Tensor, count: number): TokenOrder {
  const [tokens, perToken] = [experts.size(0), experts.size(1)];
  const copies = tokens * perToken;
  const { device } = experts;
  // Sorted by expert, then by token: keys that differ leave nothing to the kind of sort.
  const keys = experts
    .reshape([copies])
    .mul(copies)
    .add(Tensor.arange(copies, { dtype: "int64", device }));
  const order = keys.sort().indices;
  const inverse = order.sort().indices;
  const ids = experts.reshape([copies]).indexSelect(0, order);
  const tokenOf = Tensor.arange(tokens, { dtype: "int64", device })
    .unsqueeze(1)
    .expand([tokens, perToken])
    .reshape([copies]);
  const token = tokenOf.indexSelect(0, order);
  const split = (rows: Tensor): Tensor => rows.reshape([tokens, perToken, ...rows.shape.slice(1)]);
  return {
    groups: { ...rowGroups(ids, count), origins: token },
    sorted: (x) => gathered(x, token, inverse, (rows) => split(rows).sum(1)),
    sortedPairs: (x) => gathered(x.reshape([copies, ...x.shape.slice(2)]), order, inverse),
    byToken: (y) => split(gathered(y, inverse, order)),
  };
}

// Rows of `x` at `places`; the gradient takes the rows of the output's at `back`, and what `fold` makes of them.
function gathered(x: Tensor, places: Tensor, back: Tensor, fold: (rows: Tensor) => Tensor = (rows) => rows): Tensor {
  return differentiable(
    [x],
    () => ({ output: x.indexSelect(0, places), saved: [back] }),
    (gradient, [rows]) => [fold(gradient.indexSelect(0, rows as Tensor))],
  );
}
