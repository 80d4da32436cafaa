import { type Device, noGrad, scope, Tensor } from "../tensor/index.js";
import { type Codes, dequantize } from "./grid/grid.js";
import { zeroPointUnits } from "./grid/group-grid.js";
import type { QuantizedWeight } from "./quantized-weight.js";

/** The weight `[out, in]`, fp32, that stored codes stand for. */
export function fromQuantizedWeight(stored: QuantizedWeight, device: Device): Tensor {
  return noGrad(() => scope(() => dequantize(codesOf(stored, device))));
}

/** Stored codes as tensors of the running scope. */
export function codesOf(
  { rows, columns, groupSize, bits, groupBits, symmetric, codes, scales, zeroPoints }: QuantizedWeight,
  device: Device,
): Codes {
  const groups = columns / groupSize;
  const stored = Tensor.from(zeroPoints, [rows, groups, 1]).to(device).to("float32");
  return {
    bits,
    ...(groupBits !== undefined && { groupBits }),
    symmetric,
    groupSize,
    codes: Tensor.from(codes, [rows, columns]).to(device).to("float32"),
    scale: Tensor.from(scales, [rows, groups, 1]).to(device),
    zeroPoint: groupBits === undefined ? stored : stored.div(zeroPointUnits(groupBits, groups, device)),
  };
}
