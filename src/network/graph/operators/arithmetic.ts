import { callTensor, Tensor } from "../../../tensor/index.js";
import type { NodeCall, Operator, OperatorTable } from "./operator.js";

/** Operators of two tensors or more that are broadcast to each other, as in NumPy. */
export const arithmetic: OperatorTable = {
  Add: pair((a, b) => a.add(b)),
  And: pair((a, b) => a.logicalAnd(b)),
  Div: pair((a, b) => (isFloat(a) || isFloat(b) ? a.div(b) : divideIntegers(a, b))),
  Equal: pair((a, b) => a.eq(b)),
  Greater: pair((a, b) => a.gt(b)),
  GreaterOrEqual: pair((a, b) => a.ge(b)),
  Less: pair((a, b) => a.lt(b)),
  LessOrEqual: pair((a, b) => a.le(b)),
  Max: several((a, b) => a.maximum(b)),
  Min: several((a, b) => a.minimum(b)),
  Mod: { run: mod },
  Mul: pair((a, b) => a.mul(b)),
  Or: pair((a, b) => callTensor("aten::logical_or", [a, b])),
  // The exponent may be of another type; the result is of the base's.
  Pow: pair((a, b) => a.pow(b).to(a.dtype)),
  Sub: pair((a, b) => a.sub(b)),
  Sum: several((a, b) => a.add(b)),
  Xor: pair((a, b) => callTensor("aten::logical_xor", [a, b])),
  Where: { run: (call) => Tensor.where(call.tensor(0), call.tensor(1), call.tensor(2)) },
};

function pair(compute: (a: Tensor, b: Tensor) => Tensor): Operator {
  return { run: (call) => compute(call.tensor(0), call.tensor(1)) };
}

function several(compute: (a: Tensor, b: Tensor) => Tensor): Operator {
  return {
    run: (call) => {
      const first = callTensor("aten::alias", [call.tensor(0)]);
      return call.inputs.slice(1).reduce((sum: Tensor, _, i) => compute(sum, call.tensor(i + 1)), first);
    },
  };
}

function isFloat({ dtype }: Tensor): boolean {
  return dtype === "float32" || dtype === "float64" || dtype === "bfloat16" || dtype === "float16";
}

// Towards zero, as in C.
function divideIntegers(a: Tensor, b: Tensor): Tensor {
  return callTensor("aten::div.Tensor_mode", [a, b], { rounding_mode: "trunc" });
}

// The sign is the divisor's, as in Python, unless the node asks for C's.
function mod(call: NodeCall): Tensor {
  const name = call.attributes.int("fmod", 0) === 1 ? "aten::fmod.Tensor" : "aten::remainder.Tensor";
  return callTensor(name, [call.tensor(0), call.tensor(1)]);
}
