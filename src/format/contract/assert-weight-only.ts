import { FormatError } from "../../errors.js";
import { schemeLabel } from "../model-label.js";
import type { ExportSource } from "./export-source.js";

/**
 * Refuses a result without a quantized Linear, and one whose inputs are quantized, for formats that hold weights only.
 *
 * @param format as readers know it
 * @throws FormatError naming the scheme without quantized inputs, and the format that describes them
 */
export function assertWeightOnly({ activations, linears, folder }: ExportSource, format: string): void {
  if (linears.size === 0) {
    throw new FormatError({ what: "no quantized Linear to write", where: folder, next: "quantize the model first" });
  }
  if (activations === null) return;
  const scheme = schemeLabel({ linears, activations: null });
  throw new FormatError({
    what: `${format} holds weights only, and this result quantizes activations to ${activations.bits} bits`,
    where: folder,
    next: `quantize with --scheme ${scheme}, or use --format compressed-tensors, which describes activations`,
  });
}
