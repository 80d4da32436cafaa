import type { SafetensorsDType } from "../../checkpoint/dtype.js";
import { FormatError } from "../../errors.js";
import { fromBfloat16Bits, fromHalfBits, toBfloat16Bits, toHalfBits } from "./half.js";
import { viewInt32, viewUint16 } from "./typed-view.js";

/** Values as little-endian fp16, rounded to nearest even. */
export function toHalfBytes(values: Float32Array): Uint8Array {
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = toHalfBits(values[i] ?? 0);
  return new Uint8Array(bits.buffer);
}

/**
 * The fp32 values of a stored fp16, bf16 or fp32 tensor.
 *
 * @param where the tensor, for the error
 * @throws FormatError for another dtype
 */
export function floatsFromBytes(bytes: Uint8Array, dtype: SafetensorsDType, where: string): Float32Array {
  if (dtype === "F32") return new Float32Array(viewInt32(bytes).slice().buffer);
  const decode = dtype === "F16" ? fromHalfBits : dtype === "BF16" ? fromBfloat16Bits : null;
  if (decode === null) {
    throw new FormatError({
      what: `scales of type ${dtype}, not F16, BF16 or F32`,
      where,
      next: "export the model again; crossblock writes scales as F16",
    });
  }
  const bits = viewUint16(bytes);
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = decode(bits[i] ?? 0);
  return values;
}

/** Values in one of the three types, little-endian, rounded to nearest even. */
export function fromFloats(values: Float32Array, dtype: "F16" | "BF16" | "F32"): Uint8Array {
  if (dtype === "F32") return new Uint8Array(values.slice().buffer);
  return dtype === "F16" ? toHalfBytes(values) : new Uint8Array(Uint16Array.from(values, toBfloat16Bits).buffer);
}
