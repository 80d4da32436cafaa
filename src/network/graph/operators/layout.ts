import { callTensor, Tensor } from "../../../tensor/index.js";
import { mostNumbers } from "./made.js";
import type { NodeCall, OperatorTable } from "./operator.js";

/** The same elements in another shape or order. */
export const layout: OperatorTable = {
  Concat: {
    run: (call) => {
      const tensors = call.inputs.map((_, i) => call.tensor(i));
      return Tensor.cat(tensors, call.axis(call.attributes.int("axis", 0), call.tensor(0).rank));
    },
  },
  DepthToSpace: { run: depthToSpace },
  Expand: { settings: [1], run: expand },
  Flatten: { run: flatten },
  Reshape: { settings: [1], run: reshape },
  SpaceToDepth: { run: spaceToDepth },
  Split: { settings: [1], run: split },
  Squeeze: { settings: [1], run: squeeze },
  Tile: { settings: [1], run: tile },
  Transpose: {
    run: (call) => {
      const x = call.tensor(0);
      return x.permute(call.attributes.ints("perm") ?? x.shape.map((_, i) => x.rank - 1 - i));
    },
  },
  Unsqueeze: { settings: [1], run: unsqueeze },
};

function reshape(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const wanted = call.list(1, "shape") ?? call.refuse("it has no shape");
  const copies = call.attributes.int("allowzero", 0) === 0;
  return x.reshape(wanted.map((size, i) => (size === 0 && copies ? x.size(i) : size)));
}

function flatten(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const axis = call.attributes.int("axis", 1);
  const at = axis < 0 ? axis + x.rank : axis;
  const rows = x.shape.slice(0, at).reduce((product, size) => product * size, 1);
  const columns = x.shape.slice(at).reduce((product, size) => product * size, 1);
  return x.reshape([rows, columns]);
}

function squeeze(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const axes = call.list(1, "axes")?.map((axis) => call.axis(axis, x.rank));
  const gone = (size: number, i: number): boolean => (axes === undefined ? size === 1 : axes.includes(i));
  if (x.shape.some((size, i) => gone(size, i) && size !== 1)) call.refuse("an axis that has more than one entry");
  return x.reshape(x.shape.filter((size, i) => !gone(size, i)));
}

function unsqueeze(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const given = call.list(1, "axes") ?? call.refuse("it has no axes");
  const rank = x.rank + given.length;
  const axes = new Set(given.map((axis) => call.axis(axis, rank)));
  const sizes = [...x.shape];
  return x.reshape(Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : (sizes.shift() ?? 1))));
}

function expand(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const wanted = call.numbers(1) ?? call.refuse("it has no shape");
  const rank = Math.max(x.rank, wanted.length);
  const shape = Array.from({ length: rank }, (_, i) => {
    const own = x.shape[i - rank + x.rank] ?? 1;
    const asked = wanted[i - rank + wanted.length] ?? 1;
    return own === 1 ? asked : own;
  });
  mostNumbers(call, shape);
  return x.expand(shape);
}

function tile(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const repeats = call.numbers(1) ?? call.refuse("it has no repeats");
  mostNumbers(
    call,
    x.shape.map((size, i) => size * (repeats[i] ?? 1)),
  );
  return callTensor("aten::repeat", [x, repeats]);
}

function split(call: NodeCall): readonly Tensor[] {
  const x = call.tensor(0);
  const { attributes, node } = call;
  const axis = call.axis(attributes.int("axis", 0), x.rank);
  const parts = attributes.int("num_outputs", node.outputs.length);
  const each = Math.ceil(x.size(axis) / parts);
  const equal = Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(each, x.size(axis) - i * each)));
  const sizes = call.list(1, "split") ?? equal;
  if (sizes.reduce((sum, size) => sum + size, 0) !== x.size(axis)) {
    call.refuse(`parts of ${sizes.join(", ")} of a dimension of ${x.size(axis)}`);
  }
  let begin = 0;
  return sizes.map((size) => {
    begin += size;
    return x.narrow(axis, begin - size, size);
  });
}

function depthToSpace(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const block = call.attributes.int("blocksize", 1);
  const [n = 1, c = 1, h = 1, w = 1] = x.shape;
  const depth = c / block ** 2;
  const columnsFirst = call.attributes.string("mode", "DCR") === "DCR";
  const parts = columnsFirst
    ? x.reshape([n, block, block, depth, h, w]).permute([0, 3, 4, 1, 5, 2])
    : x.reshape([n, depth, block, block, h, w]).permute([0, 1, 4, 2, 5, 3]);
  return parts.reshape([n, depth, h * block, w * block]);
}

function spaceToDepth(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const block = call.attributes.int("blocksize", 1);
  const [n = 1, c = 1, h = 1, w = 1] = x.shape;
  const parts = x.reshape([n, c, h / block, block, w / block, block]).permute([0, 3, 5, 1, 2, 4]);
  return parts.reshape([n, c * block ** 2, h / block, w / block]);
}
