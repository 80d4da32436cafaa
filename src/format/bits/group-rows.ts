import { rowBits } from "./bits-per-weight.js";

/** A weight's codes whose groups of columns have bits of their own. */
interface GroupedCodes {
  readonly rows: number;
  readonly columns: number;
  readonly groupSize: number;
  /** Of every group, 1 to 8. */
  readonly groupBits: readonly number[];
}

/**
 * Packs each row as one dense stream, group after group, lowest bit first: a code of group `g` takes `groupBits[g]` bits and may
 * straddle two words. Unused bits of a row's last word are zero.
 *
 * @param codes unsigned, `[rows, columns]`
 * @returns int32 words, little-endian, `[rows, ceil(row bits / 32)]`
 */
export function packGroupRows({ rows, columns, groupSize, groupBits }: GroupedCodes, codes: Uint8Array): Uint8Array {
  const width = Math.ceil(rowBits(groupBits, groupSize) / 32);
  const words = new Uint32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    let at = row * width * 32;
    for (let column = 0; column < columns; column++) {
      const bits = groupBits[Math.floor(column / groupSize)] ?? 0;
      const code = codes[row * columns + column] ?? 0;
      const [word, shift] = [Math.floor(at / 32), at % 32];
      words[word] = ((words[word] ?? 0) | (code << shift)) >>> 0;
      if (shift + bits > 32) words[word + 1] = code >>> (32 - shift);
      at += bits;
    }
  }
  return new Uint8Array(words.buffer);
}

/** The way back; `bytes` must have the length that `packGroupRows` gives. */
export function unpackGroupRows({ rows, columns, groupSize, groupBits }: GroupedCodes, bytes: Uint8Array): Uint8Array {
  const width = Math.ceil(rowBits(groupBits, groupSize) / 32);
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const codes = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    let at = row * width * 32;
    for (let column = 0; column < columns; column++) {
      const bits = groupBits[Math.floor(column / groupSize)] ?? 0;
      const [word, shift] = [Math.floor(at / 32), at % 32];
      let code = words.getUint32(word * 4, true) >>> shift;
      if (shift + bits > 32) code |= words.getUint32((word + 1) * 4, true) << (32 - shift);
      codes[row * columns + column] = code & ((1 << bits) - 1);
      at += bits;
    }
  }
  return codes;
}
