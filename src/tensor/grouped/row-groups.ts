import { callTensor } from "../call.js";
import { Tensor } from "../tensor.js";

/** Rows that lie sorted by the group that they belong to, as tokens by the expert that computes them. */
export interface RowGroups {
  /** How many groups there are; some may have no rows. */
  readonly count: number;
  /** The group of every row, int64 `[rows]`, ascending. */
  readonly ids: Tensor;
  /** The place behind the last row of every group, int32 `[count]`. */
  readonly ends: Tensor;
  /** The row of the input that each is a copy of, int64 `[rows]`, where it is known. */
  readonly origins?: Tensor;
  /** What is computed of these rows is dropped: they pass to be seen. */
  readonly dropped?: true;
}

/** The groups of ascending ids, int64 `[rows]`. Waits for no device. */
export function rowGroups(ids: Tensor, count: number): RowGroups {
  const groups = Tensor.arange(count, { dtype: "int64", device: ids.device });
  return { count, ids, ends: callTensor("aten::searchsorted.Tensor", [ids, groups], { right: true, out_int32: true }) };
}

/** Rows of every group. Waits for the device. */
export function groupSizes({ ends }: Pick<RowGroups, "ends">): number[] {
  let before = 0;
  return [...(ends.toArray() as Int32Array)].map((end) => {
    const size = end - before;
    before = end;
    return size;
  });
}
