import { fromQuantizedWeight } from "../../quant/from-quantized-weight.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { type Device, type DType, keep, noGrad, scope, type Tensor } from "../../tensor/index.js";

/** `scale * (code - zeroPoint)` in float32, then the compute dtype, `[out, in]`: what the optimisation computed. */
export function decodedTensor(weight: QuantizedWeight, to: { readonly device: Device; readonly dtype: DType }): Tensor {
  return keep(noGrad(() => scope(() => fromQuantizedWeight(weight, to.device).to(to.dtype).contiguous())));
}
