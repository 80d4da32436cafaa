import { callTensor, Tensor } from "../../../tensor/index.js";
import { both, type NodeCall, type OperatorTable, oneOutput, only } from "./operator.js";
import { effectivePads, type Pads, padded, symmetricPads } from "./padding.js";

/** Windows that slide over the spatial dimensions, one, two or three. */
export const pooling: OperatorTable = {
  AveragePool: { run: averagePool },
  GlobalAveragePool: { run: (call) => call.tensor(0).mean(spatial(call.tensor(0)), true) },
  GlobalMaxPool: { run: (call) => call.tensor(0).amax(spatial(call.tensor(0)), true) },
  MaxPool: { run: maxPool, check: both(only({ storage_order: 0 }), oneOutput) },
};

function spatial(x: Tensor): readonly number[] {
  return x.shape.slice(2).map((_, i) => i + 2);
}

interface Pool {
  readonly x: Tensor;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: Pads;
  readonly ceil: boolean;
}

function readPool(call: NodeCall): Pool {
  const { attributes } = call;
  const x = call.tensor(0);
  const kernel = attributes.ints("kernel_shape") ?? call.refuse("it has no kernel_shape");
  const strides = attributes.ints("strides") ?? kernel.map(() => 1);
  const dilations = attributes.ints("dilations") ?? kernel.map(() => 1);
  if (kernel.length !== x.rank - 2 || kernel.length > 3) {
    call.refuse(`a window of ${kernel.length} dimensions over a tensor of ${x.rank}`);
  }
  const pads = effectivePads(call, x.shape.slice(2), kernel, strides, dilations);
  return { x, kernel, strides, dilations, pads, ceil: attributes.int("ceil_mode", 0) === 1 };
}

/** Pads that libtorch takes itself: the same on both sides, at most half a window. */
function ownPads({ pads, kernel }: Pool): readonly number[] | null {
  const same = symmetricPads(pads);
  return same?.every((pad, i) => 2 * pad <= (kernel[i] ?? 0)) === true ? same : null;
}

function maxPool(call: NodeCall): Tensor {
  const pool = readPool(call);
  const own = ownPads(pool);
  const x = own === null ? padded(pool.x, pool.pads, Number.NEGATIVE_INFINITY) : pool.x;
  const pads = own ?? pool.kernel.map(() => 0);
  const { kernel, strides, dilations, ceil } = pool;
  return callTensor(`aten::max_pool${kernel.length}d`, [x, kernel, strides, pads, dilations, ceil]);
}

function averagePool(call: NodeCall): Tensor {
  const pool = readPool(call);
  const { kernel, strides, dilations, ceil } = pool;
  if (dilations.some((each) => each !== 1)) call.refuse("dilations", "export the network without dilated pools");
  const whole = call.attributes.int("count_include_pad", 0) === 1;
  const average = (x: Tensor, pads: readonly number[], counted: boolean): Tensor =>
    callTensor(`aten::avg_pool${kernel.length}d`, [x, kernel, strides, pads, ceil, counted]);
  const own = ownPads(pool);
  if (own !== null) return average(pool.x, own, whole);
  const none = kernel.map(() => 0);
  const mean = average(padded(pool.x, pool.pads, 0), none, true);
  if (whole) return mean;
  // The share of a window that is no padding.
  const { dtype, device, shape } = pool.x;
  const inside = padded(Tensor.ones([1, 1, ...shape.slice(2)], { dtype, device }), pool.pads, 0);
  return mean.div(average(inside, none, true));
}
