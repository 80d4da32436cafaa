import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { roundToBfloat16, roundToHalf } from "../bits/half.js";
import type { ScaleType } from "./layout.js";

/** A number in the type of scales and biases. */
export function rounded(value: number, type: ScaleType): number {
  if (type === "F32") return Math.fround(value);
  return type === "F16" ? roundToHalf(value) : roundToBfloat16(value);
}

/** What rounding scales and biases costs: mean squared error relative to the mean square of the values. */
export function relativeLoss(weight: QuantizedWeight, type: ScaleType): number {
  const { codes, scales, zeroPoints, groupSize } = weight;
  let [error, square] = [0, 0];
  for (let group = 0; group < scales.length; group++) {
    const [scale, zeroPoint] = [scales[group] ?? 0, zeroPoints[group] ?? 0];
    const [ownScale, ownBias] = [rounded(scale, type), rounded(-scale * zeroPoint, type)];
    for (let i = group * groupSize; i < (group + 1) * groupSize; i++) {
      const code = codes[i] ?? 0;
      const value = scale * (code - zeroPoint);
      error += (ownScale * code + ownBias - value) ** 2;
      square += value ** 2;
    }
  }
  return error === 0 ? 0 : error / square;
}
