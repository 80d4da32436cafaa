import { quote } from "../../checkpoint/json/json.js";
import { CalibrationError } from "../../errors.js";
import { type DType, elementSize } from "../../tensor/index.js";

/** A stored array whose first dimension counts examples. */
export interface StoredArray {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Little-endian. */
  readonly bytes: Uint8Array;
}

/** Longest header that is read; NumPy writes some 120 bytes. */
const MAX_HEADER = 65_536;

const TYPES: Readonly<Record<string, DType>> = {
  "<f4": "float32",
  "<f8": "float64",
  "<f2": "float16",
  "<i8": "int64",
  "<i4": "int32",
  "|u1": "uint8",
};

/** An array of a `.npy` file, in C order. Source: NumPy's "A simple file format for NumPy arrays". @throws CalibrationError */
export function readNpy(bytes: Uint8Array, file: string): StoredArray {
  const fail = (what: string): never => {
    throw new CalibrationError({ what, where: file, next: "write it with numpy.save, as float32 in C order" });
  };
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (bytes.length < 12 || magic.some((byte, i) => bytes[i] !== byte)) fail("this is not a .npy file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const long = (bytes[6] ?? 1) > 1;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const begin = (long ? 12 : 10) + length;
  if (length > MAX_HEADER || begin > bytes.length) fail(`a header of ${length} bytes`);
  const header = new TextDecoder("latin1").decode(bytes.subarray(begin - length, begin));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? "";
  const dtype = TYPES[descr] ?? fail(`elements of type ${quote(descr.slice(0, 24))}`);
  if (!/'fortran_order':\s*False/.test(header)) fail("columns lie before rows (fortran_order)");
  const listed = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1] ?? fail("it has no shape");
  const shape = listed
    .split(",")
    .filter((size) => size.trim() !== "")
    .map(Number);
  const needed = shape.reduce((product, size) => product * size, elementSize(dtype));
  if (shape.includes(0)) {
    throw new CalibrationError({
      what: `it is empty: [${shape.join(", ")}]`,
      where: file,
      next: "write examples to it; the first dimension counts them",
    });
  }
  // A size of 0 would let any other stand beside it.
  const counts = shape.length > 0 && shape.every((size) => Number.isSafeInteger(size) && size > 0);
  if (!counts || needed !== bytes.length - begin) {
    fail(`${bytes.length - begin} bytes for ${descr} [${shape.join(", ")}]`);
  }
  return { shape, dtype, bytes: bytes.subarray(begin) };
}
