import { OptionError } from "../../errors.js";
import type { DecoderSpec } from "../../network/index.js";
import type { GradientPrecision } from "../../reconstruct/quantized-layer.js";
import { type Device, hasFp8Products } from "../../tensor/index.js";
import type { RunOptions } from "../options/options.js";

/** From this hidden size on the products are long enough for fp8 to pay (docs/measurements/speed.md). */
const LARGE = 4096;

/**
 * In what the backward pass of windows multiplies.
 *
 * @throws OptionError where fp8 is asked for and the device, or the dtype of the other products, rules it out
 */
export function gradientPrecision(
  { compute: { gradients, dtype } }: Pick<RunOptions, "compute">,
  spec: Pick<DecoderSpec, "hiddenSize">,
  device: Device,
): GradientPrecision {
  const possible = dtype === "bfloat16" && hasFp8Products(device);
  if (gradients === "auto") return possible && spec.hiddenSize >= LARGE ? "fp8" : "full";
  if (gradients === "fp8" && !possible) {
    throw new OptionError({
      where: 'option "compute.gradients"',
      what: `fp8 needs a GPU of compute capability 8.9 or newer, PyTorch 2.1 or newer and bfloat16 products; this is ${device} with ${dtype}`,
      next: "use --set compute.gradients=auto",
    });
  }
  return gradients;
}
