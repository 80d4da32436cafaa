import type { SafetensorsDType } from "../../checkpoint/dtype.js";
import { FormatError } from "../../errors.js";
import { floatsFromBytes } from "../bits/float-bytes.js";
import { viewInt32 } from "../bits/typed-view.js";
import { unpackBits } from "../bits/unpack-bits.js";
import { BIASES, CODES, SCALES } from "./layout.js";

/** Sizes of a stored weight, experts counted as rows. */
export interface AffineShape {
  readonly bits: number;
  /** Columns that share a scale in the file. */
  readonly groupSize: number;
  readonly rows: number;
  readonly columns: number;
}

/** A weight as MLX has it: `scale * code + bias`. */
export interface AffineWeight extends AffineShape {
  /** `[rows, columns]` */
  readonly codes: Uint8Array;
  /** `[rows, columns / groupSize]` */
  readonly scales: Float32Array;
  /** As the scales. */
  readonly biases: Float32Array;
}

/** One stored tensor with its bytes. */
export interface StoredTensor {
  readonly dtype: SafetensorsDType;
  readonly bytes: Uint8Array;
}

/**
 * Takes a stored weight apart.
 *
 * @param name the module, for errors
 * @throws FormatError when a tensor has not the size that the shape asks for, or a scale or bias is no finite number
 */
export function decodeWeight(
  name: string,
  shape: AffineShape,
  stored: { readonly codes: StoredTensor; readonly scales: StoredTensor; readonly biases: StoredTensor },
): AffineWeight {
  const { bits, groupSize, rows, columns } = shape;
  const words = viewInt32(stored.codes.bytes);
  const width = (columns * bits) / 32;
  if (stored.codes.dtype !== "U32" || words.length !== rows * width) {
    damaged(
      `${name}.${CODES}`,
      `${stored.codes.dtype} of ${words.length} words, where ${rows} x ${width} of U32 are needed`,
    );
  }
  const codes = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    unpackBits(words, { start: row * width, stride: 1 }, columns, bits, codes, { start: row * columns, stride: 1 });
  }
  const floats = (tensor: StoredTensor, part: string): Float32Array => {
    const where = `${name}.${part}`;
    const values = floatsFromBytes(tensor.bytes, tensor.dtype, where);
    if (values.length !== rows * (columns / groupSize)) damaged(where, `${values.length} numbers for ${rows} rows`);
    if (values.some((value) => !Number.isFinite(value))) damaged(where, "one of them is no finite number");
    return values;
  };
  return { ...shape, codes, scales: floats(stored.scales, SCALES), biases: floats(stored.biases, BIASES) };
}

/** The value of every weight in fp32, `[rows, columns]`. */
export function dequantize({ codes, scales, biases, groupSize }: AffineWeight): Float32Array {
  return Float32Array.from(codes, (code, i) => {
    const group = Math.floor(i / groupSize);
    return Math.fround(Math.fround((scales[group] ?? 0) * code) + (biases[group] ?? 0));
  });
}

/**
 * The zero points that the biases stand for: integers of `bits` bits. Null where a bias is another number, as other programs
 * round them.
 */
export function zeroPointsOf({ scales, biases, bits }: AffineWeight): Uint8Array | null {
  const zeroPoints = new Uint8Array(biases.length);
  for (let i = 0; i < biases.length; i++) {
    const [scale, bias] = [scales[i] ?? 0, biases[i] ?? 0];
    const zeroPoint = bias === 0 ? 0 : -bias / scale;
    if (!Number.isInteger(zeroPoint) || zeroPoint < 0 || zeroPoint >= 2 ** bits) return null;
    zeroPoints[i] = zeroPoint;
  }
  return zeroPoints;
}

function damaged(where: string, what: string): never {
  throw new FormatError({
    what,
    where,
    why: "the file is damaged, or its config.json belongs to other weights",
    next: "export or download this folder again",
  });
}
