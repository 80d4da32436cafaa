import { type DataType, dataTypeOf } from "../../../checkpoint/onnx/schema.js";
import { callTensor, type DType, type Tensor } from "../../../tensor/index.js";
import { type NodeCall, type Operator, type OperatorTable, oneOutput } from "./operator.js";

/** Operators that take each element by itself. */
export const elementwise: OperatorTable = {
  Abs: each((x) => x.abs()),
  Cast: { run: (call) => cast(call.tensor(0), call.attributes.int("to", 0), call) },
  Celu: { run: (call) => callTensor("aten::celu", [call.tensor(0), call.attributes.float("alpha", 1)]) },
  Ceil: each((x) => callTensor("aten::ceil", [x])),
  Clip: { settings: [1, 2], run: clip },
  Cos: each((x) => x.cos()),
  Dropout: { ...each(alias), check: oneOutput },
  Elu: { run: (call) => callTensor("aten::elu", [call.tensor(0), call.attributes.float("alpha", 1)]) },
  Erf: each((x) => callTensor("aten::erf", [x])),
  Exp: each((x) => x.exp()),
  Floor: each((x) => x.floor()),
  Gelu: {
    run: (call) => call.tensor(0).gelu(call.attributes.string("approximate", "none") === "tanh" ? "tanh" : "none"),
  },
  HardSigmoid: { run: hardSigmoid },
  HardSwish: each((x) => callTensor("aten::hardswish", [x])),
  Identity: each(alias),
  LeakyRelu: { run: (call) => callTensor("aten::leaky_relu", [call.tensor(0), call.attributes.float("alpha", 0.01)]) },
  Log: each((x) => x.log()),
  Mish: each((x) => callTensor("aten::mish", [x])),
  Neg: each((x) => x.neg()),
  Not: each((x) => x.logicalNot()),
  PRelu: { run: prelu },
  Reciprocal: each((x) => x.reciprocal()),
  Relu: each((x) => x.relu()),
  Round: each((x) => x.round()),
  Selu: { run: selu },
  Sigmoid: each((x) => x.sigmoid()),
  Sign: each((x) => x.sign()),
  Sin: each((x) => x.sin()),
  Softplus: each((x) => callTensor("aten::softplus", [x])),
  Softsign: each((x) => x.div(x.abs().add(1))),
  Sqrt: each((x) => x.sqrt()),
  Tanh: each((x) => x.tanh()),
  ThresholdedRelu: {
    run: (call) => callTensor("aten::threshold", [call.tensor(0), call.attributes.float("alpha", 1), 0]),
  },
};

function each(compute: (x: Tensor) => Tensor): Operator {
  return { run: (call) => compute(call.tensor(0)) };
}

function alias(x: Tensor): Tensor {
  return callTensor("aten::alias", [x]);
}

function cast(x: Tensor, to: number, call: NodeCall): Tensor {
  const type = dataTypeOf(to);
  if (type === null) return call.refuse(`a cast to type ${to}, which crossblock does not compute`);
  return x.to(deviceType(type, call.floatType));
}

/** In which dtype numbers of a type of the file are computed with. */
export function deviceType(type: DataType, floatType: DType): DType {
  if (type === "float16" || type === "bfloat16" || type === "float32" || type === "float64") return floatType;
  if (type === "int4" || type === "uint4") return type === "int4" ? "int8" : "uint8";
  return type === "uint16" ? "int32" : type;
}

function clip(call: NodeCall): Tensor {
  const { attributes } = call;
  // Bounds are attributes up to version 10.
  const bound = (at: number, name: string): number | null =>
    call.numbers(at)?.[0] ?? (attributes.has(name) ? attributes.float(name, 0) : null);
  const [min, max] = [bound(1, "min"), bound(2, "max")];
  return min === null && max === null ? alias(call.tensor(0)) : call.tensor(0).clamp(min, max);
}

function selu(call: NodeCall): Tensor {
  const alpha = call.attributes.float("alpha", 1.6732631921768188);
  return callTensor("aten::elu", [call.tensor(0), alpha, call.attributes.float("gamma", 1.0507010221481323), 1]);
}

function hardSigmoid(call: NodeCall): Tensor {
  const { attributes } = call;
  const scaled = call.tensor(0).mul(attributes.float("alpha", 0.2));
  return scaled.add(attributes.float("beta", 0.5)).clamp(0, 1);
}

// The slope is broadcast from the right, as in arithmetic.
function prelu(call: NodeCall): Tensor {
  const x = call.tensor(0);
  return x.clamp(0).add(x.clamp(null, 0).mul(call.tensor(1)));
}
