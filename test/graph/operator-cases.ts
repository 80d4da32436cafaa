import type { OnnxTensor } from "../../src/checkpoint/onnx/schema.js";
import {
  floats,
  integers,
  someFloats,
  type TestAttribute,
  type TestGraph,
  type TestNode,
  type TestPort,
} from "../../src/network/graph/testing/small-graph.js";

/** One question to onnxruntime. */
export interface OperatorCase {
  readonly title: string;
  readonly graph: TestGraph;
}

type Attributes = Readonly<Record<string, TestAttribute>>;
type More = Omit<Partial<TestGraph>, "inputs"> & { readonly also?: Readonly<Record<string, TestPort>> };

export const IMAGE = [2, 4, 7, 6];

/** A node of `x` and of constants, in the order that they have here. */
export function one(
  operator: string,
  attributes: Attributes = {},
  constants: Readonly<Record<string, OnnxTensor>> = {},
  shape: readonly (number | string)[] = IMAGE,
  { also = {}, ...more }: More = {},
): OperatorCase {
  const inputs = { x: { shape }, ...also };
  const node: TestNode = { operator, inputs: [...Object.keys(inputs), ...Object.keys(constants)], attributes };
  const said = Object.entries(attributes).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const version = more.opset === undefined ? "" : ` v${more.opset}`;
  const title = `${operator}${version} [${shape}] ${said.join(" ")} ${Object.keys(constants)}`;
  return { title: title.trim(), graph: { nodes: [node], constants, inputs, ...more } };
}

/** Nodes of `x`, one after the other or as they say. */
export function chain(
  title: string,
  nodes: readonly TestNode[],
  constants: TestGraph["constants"] = {},
  more: Partial<TestGraph> = {},
): OperatorCase {
  return { title, graph: { nodes, constants, inputs: { x: { shape: ["n", 4, 7, 6] } }, ...more } };
}

const plain = ["Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu"]
  .concat(["Neg", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus", "Tanh", "GlobalMaxPool"])
  .concat(["GlobalAveragePool", "Dropout", "Softmax", "LogSoftmax", "Flatten", "Transpose", "Celu", "Selu", "Softsign"])
  .concat(["ThresholdedRelu", "LpNormalization"]);

const two = ["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum"];
const compared = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"];
const reduced = [
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSumExp",
  "ReduceMax",
  "ReduceMean",
  "ReduceMin",
  "ReduceProd",
  "ReduceSum",
].concat(["ReduceSumSquare"]);
const w = (...shape: number[]): { w: OnnxTensor } => ({ w: someFloats(shape, 3) });
const wb = (...shape: number[]): { w: OnnxTensor; b: OnnxTensor } => ({
  w: someFloats(shape, 3),
  b: someFloats(shape.slice(0, 1), 4),
});
const positive = floats([0.5, 1.5, 2, 0.25]);
const norms = { scale: someFloats([4], 5), shift: someFloats([4], 6) };
const scales = (...values: number[]): { roi: OnnxTensor; scales: OnnxTensor } => ({
  roi: floats([]),
  scales: floats(values),
});

function resizes(): OperatorCase[] {
  const modes = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"];
  const kinds: readonly Attributes[] = [
    { mode: "nearest" },
    { mode: "nearest", nearest_mode: "floor" },
    { mode: "nearest", nearest_mode: "ceil" },
    { mode: "nearest", nearest_mode: "round_prefer_ceil" },
    { mode: "linear" },
    { mode: "cubic" },
    { mode: "cubic", cubic_coeff_a: { float: -0.5 }, exclude_outside: 1 },
  ];
  return modes.flatMap((coordinate_transformation_mode) =>
    kinds.flatMap((kind) =>
      [scales(1, 1, 2, 2), scales(1, 1, 0.55, 1.7)].map((constants, i) => {
        const found = one("Resize", { coordinate_transformation_mode, ...kind }, constants, IMAGE, { opset: 19 });
        return { ...found, title: `${found.title} ${i}` };
      }),
    ),
  );
}

/** Every operator, with what its attributes may say. */
export const operatorCases: readonly OperatorCase[] = [
  ...plain.map((operator) => one(operator)),
  one("Mish", {}, {}, IMAGE, { opset: 18 }),
  one("Sqrt", {}, {}, [3]),
  one("Log", {}, {}, [3]),
  one("Gelu", {}, {}, IMAGE, { opset: 20 }),
  one("Gelu", { approximate: "tanh" }, {}, IMAGE, { opset: 20 }),
  one("Elu", { alpha: { float: 0.3 } }),
  one("HardSigmoid", { alpha: { float: 0.3 }, beta: { float: 0.4 } }),
  one("LeakyRelu", { alpha: { float: 0.3 } }),
  one("PRelu", {}, { slope: someFloats([4, 1, 1]) }),
  one("Clip", {}, { min: floats([-0.2], []), max: floats([0.4], []) }),
  one("Clip", { min: { float: -0.2 } }, {}, IMAGE, { opset: 10 }),
  one("Cast", { to: 7 }, {}, IMAGE, { outputs: { y: "int64" } }),
  one("Cast", { to: 9 }, {}, IMAGE, { outputs: { y: "bool" } }),
  chain(
    "Not, And, Or",
    [
      { operator: "Greater", inputs: ["x", "zero"] },
      { operator: "Less", inputs: ["x", "half"] },
      { operator: "And", inputs: ["n0", "n1"] },
      { operator: "Not", inputs: ["n2"] },
      { operator: "Or", inputs: ["n3", "n0"] },
    ],
    { zero: floats([0], []), half: floats([0.5], []) },
    { outputs: { y: "bool" } },
  ),
  ...two.flatMap((operator) => [
    one(operator, {}, w(4, 1, 6)),
    one(operator, {}, {}, IMAGE, { also: { z: { shape: [2, 1, 7, 1] } } }),
  ]),
  ...compared.map((operator) => one(operator, {}, w(6), IMAGE, { outputs: { y: "bool" } })),
  one("Pow", {}, { e: integers([3], []) }),
  one("Pow", {}, { e: floats([2], []) }),
  one("Mod", { fmod: 1 }, { d: floats([0.3], []) }),
  ...["Div", "Mod"].map((operator) =>
    chain(
      `${operator} of integers`,
      [{ operator, inputs: ["i", "d"] }],
      { d: integers([2, -3, 2, -2]) },
      { inputs: { i: { shape: [3, 4], dataType: "int64" } }, outputs: { y: "int64" } },
    ),
  ),
  chain(
    "Where",
    [
      { operator: "Less", inputs: ["x", "w"] },
      { operator: "Where", inputs: ["n0", "x", "w"] },
    ],
    w(6),
  ),

  one("Conv", { pads: [1, 1, 1, 1] }, wb(5, 4, 3, 3)),
  one("Conv", { pads: [0, 1, 2, 3], strides: [2, 1] }, wb(6, 4, 3, 2)),
  one("Conv", { group: 4, dilations: [2, 1], kernel_shape: [3, 3] }, wb(8, 1, 3, 3)),
  one("Conv", { auto_pad: "SAME_UPPER", strides: [2, 2] }, w(3, 4, 3, 3)),
  one("Conv", { auto_pad: "SAME_LOWER", strides: [3, 2] }, w(3, 4, 2, 3)),
  one("Conv", { auto_pad: "VALID" }, w(3, 4, 2, 3)),
  one("Conv", { pads: [1, 2] }, wb(3, 4, 5), [2, 4, 9]),
  one("Conv", {}, wb(3, 2, 2, 2, 2), [1, 2, 4, 5, 3]),
  one(
    "ConvTranspose",
    { strides: [2, 2], pads: [1, 0, 0, 1], output_padding: [1, 0] },
    { w: someFloats([4, 3, 3, 3]), b: someFloats([3]) },
  ),
  one("ConvTranspose", { group: 2, dilations: [1, 2] }, { w: someFloats([4, 3, 2, 3]) }),
  one("ConvTranspose", { auto_pad: "SAME_UPPER", strides: [2, 3] }, { w: someFloats([4, 3, 3, 4]) }),
  one("ConvTranspose", { output_shape: [15, 13], strides: [2, 2] }, { w: someFloats([4, 3, 3, 3]) }),
  one("Gemm", { transB: 1 }, { w: someFloats([5, 6]), b: someFloats([5]) }, [3, 6]),
  one(
    "Gemm",
    { transA: 1, alpha: { float: 0.5 }, beta: { float: 2 } },
    { w: someFloats([3, 5]), b: someFloats([6, 1]) },
    [3, 6],
  ),
  one("Gemm", {}, { w: someFloats([6, 2]) }, [3, 6]),
  one("MatMul", {}, { w: someFloats([6, 5]) }),
  one("MatMul", {}, {}, [2, 3, 5], { also: { z: { shape: [5] } } }),
  one("Einsum", { equation: "bct,bcs->bts" }, {}, [2, 3, 4], { also: { z: { shape: [2, 3, 5] } } }),
  one("Einsum", { equation: "bts, bcs -> bct" }, {}, [2, 3, 4], { also: { z: { shape: [2, 5, 4] } } }),

  one("BatchNormalization", { epsilon: { float: 1e-3 } }, { ...norms, mean: someFloats([4], 7), variance: positive }),
  one("InstanceNormalization", {}, norms),
  one("InstanceNormalization", { epsilon: { float: 1e-2 } }, norms, [2, 4, 9]),
  one("GroupNormalization", { num_groups: 2 }, { scale: someFloats([2]), shift: someFloats([2], 2) }, IMAGE, {
    opset: 18,
  }),
  one("GroupNormalization", { num_groups: 2 }, norms, IMAGE, { opset: 21 }),
  one("LayerNormalization", {}, { scale: someFloats([6]), shift: someFloats([6], 2) }),
  one("LayerNormalization", { axis: 2 }, { scale: someFloats([7, 6]) }),
  one("Softmax", { axis: 1 }),
  one("Softmax", { axis: 2 }, {}, IMAGE, { opset: 11 }),
  one("LogSoftmax", { axis: 1 }, {}, IMAGE, { opset: 11 }),

  one("MaxPool", { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 0, 1] }),
  one("MaxPool", { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }),
  one("MaxPool", { kernel_shape: [2, 2], dilations: [2, 1], pads: [1, 1, 1, 1] }),
  one("MaxPool", { kernel_shape: [3], auto_pad: "SAME_UPPER", strides: [2] }, {}, [1, 2, 9]),
  one("AveragePool", { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
  one("AveragePool", { kernel_shape: [3, 2], pads: [0, 1, 2, 0], strides: [2, 2] }),
  one("AveragePool", { kernel_shape: [3, 2], pads: [0, 1, 2, 0], count_include_pad: 1 }),
  one("AveragePool", { kernel_shape: [2, 2], strides: [2, 2], auto_pad: "SAME_LOWER" }),
  one("AveragePool", { kernel_shape: [2, 2, 2] }, {}, [1, 2, 4, 5, 3]),

  ...resizes(),
  one("Resize", { mode: "linear" }, { ...scales(), sizes: integers([2, 4, 11, 5]) }, IMAGE, { opset: 13 }),
  one("Resize", { mode: "nearest", axes: [2, 3] }, scales(2, 3), IMAGE, { opset: 18 }),
  one("Resize", { mode: "nearest" }, { scales: floats([1, 1, 2, 2]) }, IMAGE, { opset: 10 }),
  one("Upsample", {}, { scales: floats([1, 1, 2, 3]) }, IMAGE, { opset: 9 }),
  one("Upsample", { mode: "linear" }, { scales: floats([1, 1, 2, 2]) }, IMAGE, { opset: 9 }),

  one("Concat", { axis: -2 }, w(2, 4, 3, 6)),
  one("DepthToSpace", { blocksize: 2 }, {}, [2, 8, 3, 2]),
  one("DepthToSpace", { blocksize: 2, mode: "CRD" }, {}, [2, 8, 3, 2]),
  one("SpaceToDepth", { blocksize: 2 }, {}, [2, 3, 4, 6]),
  one("Expand", {}, { shape: integers([2, 1, 5]) }, [3, 1, 1, 1]),
  one("Flatten", { axis: 2 }),
  one("Flatten", { axis: 0 }),
  one("Reshape", {}, { shape: integers([0, -1, 6]) }),
  one("Split", { axis: 1 }, {}, IMAGE, {
    nodes: [{ operator: "Split", inputs: ["x"], outputs: ["a", "b"], attributes: { axis: 1 } }],
    outputs: { a: "float32", b: "float32" },
  }),
  one("Split", { split: [1, 3] }, {}, IMAGE, {
    opset: 11,
    nodes: [{ operator: "Split", inputs: ["x"], outputs: ["a", "b"], attributes: { axis: 1, split: [1, 3] } }],
    outputs: { a: "float32", b: "float32" },
  }),
  one("Split", { num_outputs: 3 }, {}, IMAGE, {
    opset: 18,
    nodes: [{ operator: "Split", inputs: ["x"], outputs: ["a", "b", "c"], attributes: { axis: 2, num_outputs: 3 } }],
    outputs: { a: "float32", b: "float32", c: "float32" },
  }),
  one("Squeeze", {}, { axes: integers([-1, 1]) }, [2, 1, 3, 1]),
  one("Squeeze", { axes: [1] }, {}, [2, 1, 3, 1], { opset: 11 }),
  one("Unsqueeze", {}, { axes: integers([0, -1]) }, [2, 3]),
  one("Unsqueeze", { axes: [1] }, {}, [2, 3], { opset: 11 }),
  one("Tile", {}, { repeats: integers([1, 2, 1, 3]) }),
  one("Transpose", { perm: [0, 2, 3, 1] }),

  one(
    "Slice",
    {},
    { starts: integers([1, -3]), ends: integers([Number.MAX_SAFE_INTEGER, -1]), axes: integers([1, 2]) },
  ),
  one(
    "Slice",
    {},
    {
      starts: integers([-1, 5]),
      ends: integers([Number.MIN_SAFE_INTEGER, 0]),
      axes: integers([2, 3]),
      steps: integers([-2, -1]),
    },
  ),
  one("Slice", { starts: [1], ends: [3], axes: [2] }, {}, IMAGE, { opset: 9 }),
  one("Pad", {}, { pads: integers([0, 1, 2, 0, 0, 0, 1, 3]), value: floats([0.5], []) }),
  one("Pad", {}, { pads: integers([0, 0, -2, 0, 0, 0, 1, -1]) }),
  ...["reflect", "edge"].map((mode) => one("Pad", { mode }, { pads: integers([0, 0, 2, 1, 0, 0, 3, 2]) })),
  one("Pad", { mode: "wrap" }, { pads: integers([0, 0, 2, 1, 0, 0, 3, 2]) }, IMAGE, { opset: 19 }),
  one("Pad", { pads: [0, 0, 1, 1, 0, 0, 1, 1], value: { float: 2 } }, {}, IMAGE, { opset: 10 }),

  ...reduced.flatMap((operator) => [
    one(operator, { keepdims: 0 }, { axes: integers([-1, 1]) }, IMAGE, { opset: 18 }),
    one(operator, {}, {}, [2, 3], { opset: 18 }),
  ]),
  one("ReduceMean", { axes: [2, 3] }, {}, IMAGE, { opset: 11 }),
  one("ReduceSum", { axes: [2, 3], keepdims: 0 }, {}, IMAGE, { opset: 11 }),
  one("ReduceSum", { noop_with_empty_axes: 1 }, {}, IMAGE, { opset: 13 }),
  one("ArgMax", { axis: -1, keepdims: 0 }, {}, IMAGE, { outputs: { y: "int64" } }),

  chain(
    "a shape that is computed: Shape, Size, Gather, Div, Concat, Reshape, ConstantOfShape, Range",
    [
      { operator: "Shape", inputs: ["x"] },
      { operator: "Gather", inputs: ["n0", "one"] },
      { operator: "Div", inputs: ["n1", "two"] },
      { operator: "Concat", inputs: ["zeros", "n2", "rest"], attributes: { axis: 0 } },
      { operator: "Reshape", inputs: ["x", "n3"] },
      { operator: "Size", inputs: ["n4"] },
      { operator: "Cast", inputs: ["n5"], attributes: { to: 1 } },
      { operator: "ConstantOfShape", inputs: ["n2"], attributes: { value: floats([3]) } },
      { operator: "Range", inputs: ["start", "six", "step"] },
      { operator: "Add", inputs: ["n8", "n7"], outputs: ["ramp"] },
      { operator: "ReduceMean", inputs: ["ramp"], outputs: ["mean"] },
      { operator: "Add", inputs: ["n4", "mean"], outputs: ["sum"] },
      { operator: "Div", inputs: ["sum", "n6"] },
    ],
    {
      one: integers([1]),
      two: integers([2]),
      zeros: integers([0]),
      rest: integers([-1]),
      start: floats([0], []),
      six: floats([2], []),
      step: floats([1], []),
    },
  ),
];
