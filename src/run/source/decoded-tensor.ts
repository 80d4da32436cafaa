import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { type Device, type DType, keep, noGrad, scope, Tensor } from "../../tensor/index.js";

/** `scale * (code - zeroPoint)` in float32, then the compute dtype, `[out, in]`: what the optimisation computed. */
export function decodedTensor(weight: QuantizedWeight, to: { readonly device: Device; readonly dtype: DType }): Tensor {
  const { rows, columns, groupSize } = weight;
  const groups = columns / groupSize;
  return keep(
    noGrad(() =>
      scope(() => {
        const onDevice = (array: Uint8Array | Float32Array, shape: readonly number[]): Tensor =>
          Tensor.from(array, shape).to(to.device).to("float32");
        const codes = onDevice(weight.codes, [rows, groups, groupSize]);
        const zeroPoints = onDevice(weight.zeroPoints, [rows, groups, 1]);
        const scales = onDevice(weight.scales, [rows, groups, 1]);
        return codes.sub(zeroPoints).mul(scales).reshape([rows, columns]).to(to.dtype).contiguous();
      }),
    ),
  );
}
