import { callTensor, type Tensor } from "../../../tensor/index.js";
import type { NodeCall, Operator, OperatorTable } from "./operator.js";

/** One number in place of the elements along axes. */
export const reduction: OperatorTable = {
  ArgMax: { run: (call) => extreme(call, (x, axis, keep) => x.argmax(axis, keep)) },
  ArgMin: { run: (call) => extreme(call, (x, axis, keep) => callTensor("aten::argmin", [x, axis, keep])) },
  CumSum: { settings: [1], run: cumulative },
  ReduceL1: over((x, axes, keep) => x.abs().sum(axes, keep)),
  ReduceL2: over((x, axes, keep) => x.square().sum(axes, keep).sqrt()),
  ReduceLogSum: over((x, axes, keep) => x.sum(axes, keep).log()),
  ReduceLogSumExp: over((x, axes, keep) => callTensor("aten::logsumexp", [x, axes, keep])),
  ReduceMax: over((x, axes, keep) => x.amax(axes, keep)),
  ReduceMean: over((x, axes, keep) => x.mean(axes, keep)),
  ReduceMin: over((x, axes, keep) => x.amin(axes, keep)),
  ReduceProd: over(product),
  ReduceSum: over((x, axes, keep) => x.sum(axes, keep)),
  ReduceSumSquare: over((x, axes, keep) => x.square().sum(axes, keep)),
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

function extreme(call: NodeCall, find: (x: Tensor, axis: number, keep: boolean) => Tensor): Tensor {
  const x = call.tensor(0);
  const keep = call.attributes.int("keepdims", 1) === 1;
  if (call.attributes.int("select_last_index", 0) === 1) call.refuse("select_last_index = 1");
  return find(x, call.axis(call.attributes.int("axis", 0), x.rank), keep);
}

function cumulative(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const axis = call.axis(call.numbers(1)?.[0] ?? 0, x.rank);
  const turned = (y: Tensor): Tensor =>
    call.attributes.int("reverse", 0) === 1 ? callTensor("aten::flip", [y, [axis]]) : y;
  const sums = callTensor("aten::cumsum", [turned(x), axis]).to(x.dtype);
  // Without the element itself: what was summed up before it.
  return turned(call.attributes.int("exclusive", 0) === 1 ? sums.sub(turned(x)) : sums);
}
