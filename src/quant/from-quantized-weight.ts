import { type Device, noGrad, scope, Tensor } from "../tensor/index.js";
import { dequantize } from "./grid.js";
import type { QuantizedWeight } from "./quantized-weight.js";

/** The weight `[out, in]`, fp32, that stored codes stand for. */
export function fromQuantizedWeight(stored: QuantizedWeight, device: Device): Tensor {
  return noGrad(() =>
    scope(() => {
      const { rows, columns, groupSize, bits, symmetric } = stored;
      const groups = columns / groupSize;
      return dequantize({
        bits,
        symmetric,
        groupSize,
        codes: Tensor.from(stored.codes, [rows, columns]).to(device).to("float32"),
        scale: Tensor.from(stored.scales, [rows, groups, 1]).to(device),
        zeroPoint: Tensor.from(stored.zeroPoints, [rows, groups, 1]).to(device).to("float32"),
      });
    }),
  );
}
