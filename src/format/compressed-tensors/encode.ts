import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { toHalfBytes } from "../bits/float-bytes.js";
import { packGroupRows } from "../bits/group-rows.js";
import { packBits, wordsFor } from "../bits/pack-bits.js";
import { type PackedWeight, packingRows, unpackedWeight } from "../bits/packed-rows.js";
import { toEnd } from "../bits/to-end.js";
import {
  GROUP_BITS,
  GROUP_PACKED,
  GROUP_STORAGE,
  PACKED,
  PLAIN_WEIGHT,
  SCALE,
  SHAPE,
  type StorageFormat,
  type WeightPart,
  ZERO_POINT,
} from "./layout.js";

/**
 * The bytes of one stored tensor of `weight`, little-endian, as `partsOf` describes it.
 * `weight` must be sound (`assertSound`).
 */
export function encodePart(
  weight: QuantizedWeight | PackedWeight,
  storage: StorageFormat,
  part: WeightPart,
): Uint8Array {
  switch (part) {
    case GROUP_PACKED: {
      const whole = "words" in weight ? unpackedWeight(weight) : weight;
      return packGroupRows({ ...whole, groupBits: whole.groupBits ?? [] }, whole.codes);
    }
    case GROUP_BITS:
      return Uint8Array.from(weight.groupBits ?? []);
    case PACKED:
      return "words" in weight ? weight.words : toEnd(packingRows(weight));
    case PLAIN_WEIGHT:
      return signed(("words" in weight ? unpackedWeight(weight) : weight).codes, weight.bits);
    case SCALE:
      return toHalfBytes(weight.scales);
    case ZERO_POINT:
      if (storage === GROUP_STORAGE) return weight.zeroPoints;
      return storage === "int-quantized" ? signed(weight.zeroPoints, weight.bits) : packZeroPoints(weight);
    case SHAPE:
      return new Uint8Array(BigInt64Array.of(BigInt(weight.rows), BigInt(weight.columns)).buffer);
  }
}

/** Zero points are packed along the rows, one stream per group. */
function packZeroPoints({ zeroPoints, rows, columns, groupSize, bits }: Omit<QuantizedWeight, "codes">): Uint8Array {
  const groups = columns / groupSize;
  const words = new Int32Array(wordsFor(rows, bits) * groups);
  for (let group = 0; group < groups; group++) {
    const lane = { start: group, stride: groups };
    packBits(zeroPoints, lane, rows, bits, words, lane);
  }
  return new Uint8Array(words.buffer);
}

function signed(codes: Uint8Array, bits: number): Uint8Array {
  const offset = 2 ** (bits - 1);
  const out = new Int8Array(codes.length);
  for (let i = 0; i < codes.length; i++) out[i] = (codes[i] ?? 0) - offset;
  return new Uint8Array(out.buffer);
}
