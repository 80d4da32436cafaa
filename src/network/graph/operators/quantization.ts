import { type DataType, dataTypeOf } from "../../../checkpoint/onnx/schema.js";
import type { Tensor } from "../../../tensor/index.js";
import { type NodeCall, type OperatorTable, only } from "./operator.js";

/** Integers in place of floats, and back. */
export const quantization: OperatorTable = {
  DequantizeLinear: { ofWeights: true, run: dequantize },
  QuantizeLinear: { run: quantize, check: only({ precision: 0 }) },
};

/** `(x - zero point) scale`; both of the whole tensor, of its slices along an axis, or of blocks of these. */
function dequantize(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const [scale, zeroPoint] = [call.tensor(1), call.optional(2)];
  const units = zeroPoint === null ? x.to("float32") : x.to("float32").sub(spread(call, zeroPoint.to("float32"), x));
  // In fp32 whatever the graph computes with: a product of two of its numbers is rounded once.
  return units.mul(spread(call, scale.to("float32"), x)).to(call.floatType);
}

/** `clamp(round(x / scale) + zero point)`, ties to even. */
function quantize(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const [scale, zeroPoint] = [call.tensor(1), call.optional(2)];
  const type = targetType(call);
  const { least, most, dtype } = RANGES[type] ?? call.refuse(`it makes numbers of the type ${type}`);
  const units = x
    .to("float32")
    .div(spread(call, scale.to("float32"), x))
    .round();
  const codes = zeroPoint === null ? units : units.add(spread(call, zeroPoint.to("float32"), x));
  return codes.clamp(least, most).to(dtype);
}

interface IntegerRange {
  readonly least: number;
  readonly most: number;
  readonly dtype: "int8" | "uint8" | "int16" | "int32";
}

const RANGES: Partial<Record<DataType, IntegerRange>> = {
  int4: { least: -8, most: 7, dtype: "int8" },
  uint4: { least: 0, most: 15, dtype: "uint8" },
  int8: { least: -128, most: 127, dtype: "int8" },
  uint8: { least: 0, most: 255, dtype: "uint8" },
  int16: { least: -32768, most: 32767, dtype: "int16" },
  uint16: { least: 0, most: 65535, dtype: "int32" },
};

function targetType(call: NodeCall): DataType {
  const named = dataTypeOf(call.attributes.int("output_dtype", 0));
  const stored = call.storedType(2) ?? call.optional(2)?.dtype;
  return named ?? (stored as DataType | undefined) ?? "uint8";
}

/** Scales or zero points in a shape that is broadcast to `x`. */
function spread(call: NodeCall, values: Tensor, x: Tensor): Tensor {
  if (values.numel === 1 && values.rank <= 1) return values.reshape([]);
  const axis = call.axis(call.attributes.int("axis", 1), x.rank);
  const block = call.attributes.int("block_size", 0);
  if (block === 0) {
    if (values.rank !== 1 || values.size(0) !== x.size(axis)) {
      call.refuse(`scales of [${values.shape}] for axis ${axis} of [${x.shape}]`);
    }
    return values.reshape(x.shape.map((_, i) => (i === axis ? -1 : 1)));
  }
  const blocks = x.shape.map((size, i) => (i === axis ? Math.ceil(size / block) : size));
  if (block < 0 || values.shape.join() !== blocks.join()) {
    call.refuse(`scales of [${values.shape}] for blocks of ${block} along axis ${axis} of [${x.shape}]`);
  }
  const each = values.repeatInterleave(block, axis);
  return each.size(axis) === x.size(axis) ? each : each.narrow(axis, 0, x.size(axis));
}
