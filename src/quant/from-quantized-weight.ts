import { type Device, noGrad, scope, Tensor } from "../tensor/index.js";
import { type Codes, dequantize } from "./grid/grid.js";
import type { QuantizedWeight } from "./quantized-weight.js";

/** The weight `[out, in]`, fp32, that stored codes stand for. */
export function fromQuantizedWeight(stored: QuantizedWeight, device: Device): Tensor {
  return noGrad(() => scope(() => dequantize(codesOf(stored, device))));
}

/** Stored codes as tensors of the running scope. */
export function codesOf(
  { rows, columns, groupSize, bits, symmetric, codes, scales, zeroPoints }: QuantizedWeight,
  device: Device,
): Codes {
  const groups = columns / groupSize;
  return {
    bits,
    symmetric,
    groupSize,
    codes: Tensor.from(codes, [rows, columns]).to(device).to("float32"),
    scale: Tensor.from(scales, [rows, groups, 1]).to(device),
    zeroPoint: Tensor.from(zeroPoints, [rows, groups, 1]).to(device).to("float32"),
  };
}
