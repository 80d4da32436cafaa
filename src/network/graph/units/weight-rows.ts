import type { Tensor } from "../../../tensor/index.js";
import type { GraphLayer } from "./layers.js";

type Stored = Pick<GraphLayer, "stored" | "shape" | "groups">;

/** The rows `[out, in * kernel]` of a layer's weight as its file holds it. */
export function rowsOfWeight(weight: Tensor, { stored, shape, groups }: Stored): Tensor {
  if (stored === "rows") return weight.reshape([shape[0] ?? 1, -1]);
  const [inputs = 1, outputs = 1] = shape;
  const byGroup = weight.reshape([groups, inputs / groups, outputs, -1]);
  return byGroup
    .transpose(1, 2)
    .contiguous()
    .reshape([groups * outputs, -1]);
}

/** The weight as a layer's node reads it, of its rows. */
export function weightOfRows(rows: Tensor, { stored, shape, groups }: Stored): Tensor {
  if (stored === "rows") return rows.reshape(shape);
  const [inputs = 1, outputs = 1] = shape;
  return rows
    .reshape([groups, outputs, inputs / groups, -1])
    .transpose(1, 2)
    .reshape(shape);
}
