import type { Tensor } from "../../tensor/index.js";
import { type ActivationQuantizer, TensorQuantizer, TokenQuantizer } from "./activation.js";
import { ClippedTensorQuantizer, clipsOf, StoredTensorQuantizer } from "./asymmetric-tensor.js";

/**
 * The quantizer of a granularity from its stored `value`: the clip factor (`token`) or the step (`tensor`), which has a
 * zero point where its range does not lie evenly around zero.
 */
export function quantizerFrom(
  granularity: "token" | "tensor",
  bits: number,
  value: number,
  device: Tensor["device"],
  { zeroPoint = null, ...options }: { readonly learn: boolean; readonly zeroPoint?: number | null },
): ActivationQuantizer {
  if (zeroPoint !== null) {
    const grid = { scale: value, zeroPoint };
    if (!options.learn) return new StoredTensorQuantizer(bits, grid, device);
    return new ClippedTensorQuantizer(bits, clipsOf(grid, bits), device, { aligned: Number.isInteger(zeroPoint) });
  }
  return granularity === "token"
    ? new TokenQuantizer(bits, device, { ...options, clip: value })
    : new TensorQuantizer(bits, value, device, options);
}
