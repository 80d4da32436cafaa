import { FormatError } from "../../errors.js";
import { fromHalfBits } from "../bits/half.js";
import { viewInt32 } from "../bits/typed-view.js";
import { unpackBits } from "../bits/unpack-bits.js";
import { rowBytes, type StoredBits } from "./layout.js";

/** What a MatMulNBits node says of its weight. */
export interface StoredShape {
  /** Output features (`N`). */
  readonly rows: number;
  /** Input features (`K`). */
  readonly columns: number;
  readonly bits: StoredBits;
  readonly blockSize: number;
}

/** The bytes of its inputs; `zeroPoints` is null where the node has none. */
export interface StoredBytes {
  readonly codes: Uint8Array;
  /** fp16 */
  readonly scales: Uint8Array;
  readonly zeroPoints: Uint8Array | null;
}

/** A weight as MatMulNBits sees it: one scale and zero point per block. */
export interface BlockedWeight extends StoredShape {
  /** `[rows, columns]`, padding left out. */
  readonly codes: Uint8Array;
  /** `[rows, ceil(columns / blockSize)]` */
  readonly scales: Float32Array;
  /** As the scales. */
  readonly zeroPoints: Uint8Array;
}

/**
 * Takes a stored weight apart, by onnxruntime's description of the operator.
 *
 * @param name the module, for errors
 * @throws FormatError when a tensor has not the size that the node asks for, or a scale is no finite number
 */
export function decodeWeight(name: string, shape: StoredShape, stored: StoredBytes): BlockedWeight {
  const { rows, columns, bits, blockSize } = shape;
  const blocks = Math.ceil(columns / blockSize);
  const container = { bits, blockSize, blocks };
  expectBytes(stored.codes, rows * rowBytes(container, "codes"), name, "codes");
  expectBytes(stored.scales, rows * rowBytes(container, "scales"), name, "scales");

  // Blocks follow each other without gaps, so that a row is one stream of codes with padding at its end.
  const codes = new Uint8Array(rows * columns);
  const words = viewInt32(stored.codes);
  for (let row = 0; row < rows; row++) {
    const from = { start: (row * words.length) / rows, stride: 1 };
    unpackBits(words, from, columns, bits, codes, { start: row * columns, stride: 1 });
  }
  const halves = new DataView(stored.scales.buffer, stored.scales.byteOffset, stored.scales.byteLength);
  const scales = Float32Array.from({ length: rows * blocks }, (_, i) => fromHalfBits(halves.getUint16(i * 2, true)));
  if (scales.some((scale) => !Number.isFinite(scale))) damaged(name, "a scale is no finite number");

  const zeroPoints = new Uint8Array(rows * blocks).fill(2 ** (bits - 1));
  if (stored.zeroPoints !== null) {
    const width = rowBytes(container, "zeroPoints");
    expectBytes(stored.zeroPoints, rows * width, name, "zero points");
    for (let row = 0; row < rows; row++) {
      for (let block = 0; block < blocks; block++) {
        const byte = stored.zeroPoints[row * width + Math.floor((block * bits) / 8)] ?? 0;
        zeroPoints[row * blocks + block] = (byte >> ((block * bits) % 8)) & (2 ** bits - 1);
      }
    }
  }
  return { ...shape, codes, scales, zeroPoints };
}

/** The value of every weight in fp32, `[rows, columns]`. */
export function dequantize({ codes, scales, zeroPoints, columns, blockSize }: BlockedWeight): Float32Array {
  const blocks = Math.ceil(columns / blockSize);
  return Float32Array.from(codes, (code, i) => {
    const block = Math.floor(i / columns) * blocks + Math.floor((i % columns) / blockSize);
    return (code - (zeroPoints[block] ?? 0)) * (scales[block] ?? 0);
  });
}

function expectBytes(bytes: Uint8Array, expected: number, name: string, what: string): void {
  if (bytes.length !== expected) damaged(name, `${bytes.length} bytes of ${what} where the node asks for ${expected}`);
}

function damaged(where: string, what: string): never {
  throw new FormatError({ what, where, why: "the file is damaged", next: "export or download this folder again" });
}
