import { FormatError } from "../../errors.js";
import type { QuantizedLayout } from "./export-source.js";

/**
 * Refuses a Linear whose groups of columns have different bits, for formats that know one width of a Linear.
 *
 * @param format as readers know it
 * @throws FormatError naming the nearest that it holds: bits per Linear
 */
export function assertOneWidth({ groupBits }: Pick<QuantizedLayout, "groupBits">, format: string, name?: string): void {
  if (groupBits === undefined) return;
  throw new FormatError({
    what: `${format} has one width a Linear, and the groups of this one have different bits`,
    ...(name !== undefined && { where: name }),
    next: "use --recipe gptq --bits-budget for bits per Linear, which it holds, or --format compressed-tensors, which keeps this result",
  });
}
