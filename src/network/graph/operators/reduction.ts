import { callTensor, type Tensor } from "../../../tensor/index.js";
import type { NodeCall, Operator, OperatorTable } from "./operator.js";

/** One number in place of the elements along axes. */
export const reduction: OperatorTable = {
  ArgMax: { run: argMax },
  ReduceL2: over((x, axes, keep) => x.square().sum(axes, keep).sqrt()),
  ReduceMax: over((x, axes, keep) => x.amax(axes, keep)),
  ReduceMean: over((x, axes, keep) => x.mean(axes, keep)),
  ReduceMin: over((x, axes, keep) => x.amin(axes, keep)),
  ReduceProd: over(product),
  ReduceSum: over((x, axes, keep) => x.sum(axes, keep)),
};

function over(compute: (x: Tensor, axes: readonly number[], keep: boolean) => Tensor): Operator {
  return {
    settings: [1],
    run: (call) => {
      const x = call.tensor(0);
      const given = call.list(1, "axes") ?? [];
      const all = given.length === 0;
      if (all && call.attributes.int("noop_with_empty_axes", 0) === 1) return callTensor("aten::alias", [x]);
      const axes = all ? x.shape.map((_, i) => i) : given.map((axis) => call.axis(axis, x.rank));
      const keep = call.attributes.int("keepdims", 1) === 1;
      if (axes.length === 0) return callTensor("aten::alias", [x]);
      return compute(x, axes, keep).to(x.dtype);
    },
  };
}

// libtorch multiplies along one dimension at a time.
function product(x: Tensor, axes: readonly number[], keep: boolean): Tensor {
  const whole = [...axes].sort((a, b) => b - a);
  return whole.reduce((y: Tensor, axis) => callTensor("aten::prod.dim_int", [y, axis, keep]), x);
}

function argMax(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const keep = call.attributes.int("keepdims", 1) === 1;
  if (call.attributes.int("select_last_index", 0) === 1) call.refuse("select_last_index = 1");
  return x.argmax(call.axis(call.attributes.int("axis", 0), x.rank), keep);
}
