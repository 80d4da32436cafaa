import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { toHalfBits } from "../bits/half.js";
import { packBits } from "../bits/pack-bits.js";
import { type Container, type QuantizedPart, rowBytes } from "./layout.js";

/**
 * Rows `first` to `first + count - 1` of one stored tensor of `weight`, little-endian, as `layout.ts` describes it.
 * `weight` must be sound (`assertSound`) and `container` its own (`containerOf`).
 */
export function encodeRows(
  weight: QuantizedWeight,
  container: Container,
  part: QuantizedPart,
  first: number,
  count: number,
): Uint8Array {
  const width = rowBytes(container, part);
  const out = new Uint8Array(count * width);
  const writeRow = ROW_WRITERS[part](weight, container);
  for (let row = 0; row < count; row++) writeRow(first + row, out.subarray(row * width, (row + 1) * width));
  return out;
}

type RowWriter = (row: number, out: Uint8Array) => void;

const ROW_WRITERS: Readonly<Record<QuantizedPart, (weight: QuantizedWeight, container: Container) => RowWriter>> = {
  codes({ codes, zeroPoints, columns, groupSize }, { bits, blockSize, blocks }) {
    const padded = new Uint8Array(blocks * blockSize);
    // A block has at least 16 codes, so a row is a whole number of words at every width.
    const words = new Int32Array((padded.length * bits) / 32);
    const along = { start: 0, stride: 1 };
    const groups = columns / groupSize;
    return (row, out) => {
      padded.set(codes.subarray(row * columns, (row + 1) * columns));
      // Padding decodes to 0, so that a reader that doesn't cut it off computes the same.
      padded.fill(zeroPoints[(row + 1) * groups - 1] ?? 0, columns);
      packBits(padded, along, padded.length, bits, words, along);
      out.set(new Uint8Array(words.buffer));
    };
  },

  scales({ scales, columns, groupSize }, { blockSize, blocks }) {
    const groups = columns / groupSize;
    return (row, out) => {
      const view = new DataView(out.buffer, out.byteOffset);
      for (let block = 0; block < blocks; block++) {
        const group = row * groups + Math.floor((block * blockSize) / groupSize);
        view.setUint16(block * 2, toHalfBits(scales[group] ?? 0), true);
      }
    };
  },

  zeroPoints({ zeroPoints, columns, groupSize }, { bits, blockSize, blocks }) {
    const groups = columns / groupSize;
    return (row, out) => {
      out.fill(0);
      for (let block = 0; block < blocks; block++) {
        const group = row * groups + Math.floor((block * blockSize) / groupSize);
        const bit = block * bits;
        out[bit >> 3] = (out[bit >> 3] ?? 0) | ((zeroPoints[group] ?? 0) << (bit & 7));
      }
    };
  },
};
