import { tensorBytes, tensorFacts } from "../../../checkpoint/onnx/stored-tensor.js";
import { callTensor, Tensor } from "../../../tensor/index.js";
import { constantTensor } from "../compute/constant-tensor.js";
import { type NodeCall, numbersOf, type OperatorTable } from "./operator.js";

/** What a graph makes of shapes and numbers alone. */
export const made: OperatorTable = {
  ConstantOfShape: { settings: [0], run: constantOfShape },
  Range: { settings: [0, 1, 2], run: range },
  Shape: { ofShape: true, run: shapeOf },
  Size: { ofShape: true, run: (call) => integers([call.tensor(0).numel], []) },
};

/** More numbers than this no graph makes of a shape: it is a mistake, or means harm. */
const MOST = 2 ** 30;

/** Refuses a shape of more numbers than memory is spent on. */
export function mostNumbers(call: NodeCall, shape: readonly number[]): void {
  const count = shape.reduce((product, size) => product * size, 1);
  if (!(count <= MOST) || shape.some((size) => size < 0)) call.refuse(`a tensor of shape [${shape.join(", ")}]`);
}

function constantOfShape(call: NodeCall): Tensor {
  const shape = call.numbers(0) ?? call.refuse("it has no shape");
  mostNumbers(call, shape);
  const value = call.attributes.tensor("value");
  if (value === null) return Tensor.zeros(shape);
  const { dataType } = tensorFacts(value, call.node.name);
  const bytes = tensorBytes(value, call.node.name);
  const one = constantTensor({ name: "value", dataType, shape: [1], bytes: () => bytes });
  return Tensor.full(shape, numbersOf(one)[0] ?? 0, { dtype: one.dtype });
}

function range(call: NodeCall): Tensor {
  const [start, limit, step] = [0, 1, 2].map((at) => call.numbers(at)?.[0] ?? call.refuse("a bound is missing")) as [
    number,
    number,
    number,
  ];
  const count = Math.max(0, Math.ceil((limit - start) / step));
  mostNumbers(call, [count]);
  const { dtype } = call.tensor(0);
  const values = Float64Array.from({ length: count }, (_, i) => start + i * step);
  return Tensor.from(values).to(dtype);
}

function shapeOf(call: NodeCall): Tensor {
  const { shape, rank } = call.tensor(0);
  const clamp = (at: number): number => Math.max(0, Math.min(rank, at < 0 ? at + rank : at));
  const [start, end] = [call.attributes.int("start", 0), call.attributes.int("end", rank)];
  const sizes = shape.slice(clamp(start), clamp(end));
  return integers(sizes, [sizes.length]);
}

function integers(values: readonly number[], shape: readonly number[]): Tensor {
  return callTensor("aten::clone", [Tensor.from(BigInt64Array.from(values, BigInt), shape)]);
}
