import { callTensor, Tensor } from "../../../tensor/index.js";
import { both, type NodeCall, type OperatorTable, oneOutput, only } from "./operator.js";
import { padded } from "./padding.js";

/** Means and deviations, and what makes a distribution of a row. */
export const normalization: OperatorTable = {
  BatchNormalization: { run: batchNorm, check: both(only({ training_mode: 0, spatial: 1 }), oneOutput) },
  GroupNormalization: { run: groupNorm },
  InstanceNormalization: { run: instanceNorm },
  LayerNormalization: { run: layerNorm, check: oneOutput },
  LRN: { run: responseNorm },
  LogSoftmax: { run: (call) => alongRows(call, (x, axis) => x.logSoftmax(axis)) },
  LpNormalization: { run: lpNorm },
  Softmax: { run: (call) => alongRows(call, (x, axis) => x.softmax(axis)) },
};

const EPSILON = 1e-5;

function batchNorm(call: NodeCall): Tensor {
  const epsilon = call.attributes.float("epsilon", EPSILON);
  const [x, scale, shift, mean, variance] = [0, 1, 2, 3, 4].map((at) => call.tensor(at));
  return callTensor("aten::batch_norm", [x, scale, shift, mean, variance, false, 0, epsilon, false]);
}

function instanceNorm(call: NodeCall): Tensor {
  const epsilon = call.attributes.float("epsilon", EPSILON);
  const [x, scale, shift] = [0, 1, 2].map((at) => call.tensor(at));
  return callTensor("aten::instance_norm", [x, scale, shift, null, null, true, 0, epsilon, false]);
}

function groupNorm(call: NodeCall): Tensor {
  const { attributes } = call;
  const [x, scale, shift] = [call.tensor(0), call.tensor(1), call.tensor(2)];
  const groups = attributes.int("num_groups", 1);
  const epsilon = attributes.float("epsilon", EPSILON);
  // Up to version 20 there is a scale for each group, from then on for each channel.
  const wide = (values: Tensor): Tensor =>
    values.size(0) === x.size(1) ? values : values.repeatInterleave(x.size(1) / groups, 0);
  return callTensor("aten::group_norm", [x, groups, wide(scale), wide(shift), epsilon, false]);
}

function layerNorm(call: NodeCall): Tensor {
  const { attributes } = call;
  const x = call.tensor(0);
  const shape = x.shape.slice(call.axis(attributes.int("axis", -1), x.rank));
  const epsilon = attributes.float("epsilon", EPSILON);
  const normed = callTensor("aten::layer_norm", [x, shape, null, null, epsilon]);
  // Scale and shift may be broadcast.
  const scaled = normed.mul(call.tensor(1));
  const shift = call.optional(2);
  return shift === null ? scaled : scaled.add(shift);
}

// Of the squares of neighbouring channels.
function responseNorm(call: NodeCall): Tensor {
  const { attributes } = call;
  const x = call.tensor(0);
  const size = attributes.int("size", 1);
  const before = Math.floor((size - 1) / 2);
  const around = padded(x.square(), [[before, size - 1 - before], ...x.shape.slice(2).map(() => [0, 0] as const)], 0);
  let sum = around.narrow(1, 0, x.size(1));
  for (let i = 1; i < size; i++) sum = sum.add(around.narrow(1, i, x.size(1)));
  const divisor = sum.mul(attributes.float("alpha", 1e-4) / size).add(attributes.float("bias", 1));
  return x.div(callTensor("aten::pow.Tensor_Scalar", [divisor, attributes.float("beta", 0.75)]));
}

function lpNorm(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const axis = call.axis(call.attributes.int("axis", -1), x.rank);
  const p = call.attributes.int("p", 2);
  const length = p === 1 ? x.abs().sum([axis], true) : x.square().sum([axis], true).sqrt();
  // What has no length stays nothing.
  return x.div(Tensor.where(length.eq(0), length.add(1), length));
}

// Up to version 12 all dimensions from the axis on are one row.
function alongRows(call: NodeCall, compute: (x: Tensor, axis: number) => Tensor): Tensor {
  const x = call.tensor(0);
  if (call.opset >= 13) return compute(x, call.axis(call.attributes.int("axis", -1), x.rank));
  const axis = call.axis(call.attributes.int("axis", 1), x.rank);
  const rows = x.shape.slice(0, axis).reduce((product, size) => product * size, 1);
  return compute(x.reshape([rows, -1]), 1).reshape(x.shape);
}
