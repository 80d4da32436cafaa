import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { fromFloats } from "../bits/float-bytes.js";
import { packingRows } from "../bits/packed-rows.js";
import { toEnd } from "../bits/to-end.js";
import { BIASES, blockSize, CODES, SCALES, type ScaleType, type WeightPart } from "./layout.js";

/**
 * The bytes of one stored tensor of `weight`, little-endian, as `partsOf` describes it.
 * `weight` must be sound (`assertSound`) and one that the format holds (`assertHolds`).
 *
 * @param name the module, for the error
 * @throws FormatError where fp16 has no number as large as a bias
 */
export function encodePart(name: string, weight: QuantizedWeight, type: ScaleType, part: WeightPart): Uint8Array {
  switch (part) {
    case CODES:
      return toEnd(packingRows(weight));
    case SCALES:
      return fromFloats(perBlock(weight, weight.scales), type);
    case BIASES:
      return fromFloats(perBlock(weight, biasesOf(name, weight, type)), type);
  }
}

/** `-scale * zero point`, which fp32 holds exactly. */
function biasesOf(name: string, { scales, zeroPoints }: QuantizedWeight, type: ScaleType): Float32Array {
  const biases = scales.map((scale, i) => -scale * (zeroPoints[i] ?? 0) + 0);
  const large = type === "F16" ? biases.find((bias) => Math.abs(bias) >= 65520) : undefined;
  if (large === undefined) return biases;
  throw new FormatError({
    what: `a bias of ${large}, and fp16 ends at 65504`,
    where: name,
    next: "use --mlx-scales f32, which holds it",
  });
}

/** One value a group as one a block of columns of the file. */
function perBlock(weight: QuantizedWeight, values: Float32Array): Float32Array {
  const times = weight.groupSize / (blockSize(weight) ?? weight.groupSize);
  if (times === 1) return values;
  return Float32Array.from({ length: values.length * times }, (_, i) => values[Math.floor(i / times)] ?? 0);
}
