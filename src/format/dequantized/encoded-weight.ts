import type { SafetensorsDType } from "../../checkpoint/dtype.js";
import { quote } from "../../checkpoint/json/json.js";
import type { FolderWeights, TensorInfo } from "../../checkpoint/tensor-reader.js";
import { CheckpointError } from "../../errors.js";

/** A weight whose checkpoint stores codes in its place, in one or several tensors. */
export interface EncodedWeight {
  /** Name of the tensor that the network reads. */
  readonly name: string;
  readonly shape: readonly number[];
  /** The stored tensors that it is made of, that of the codes first. */
  readonly parts: readonly string[];
  /** Rows that are decoded at once, of all of `shape` but its last dimension. */
  readonly sectionRows: number;
  /** Values of the rows `[first, end)`, one section or its beginning, in fp32. */
  readonly decode: (first: number, end: number) => Float32Array;
}

/** Tensors as they are stored. */
export type StoredTensors = Pick<FolderWeights, "folder" | "tensors" | "readSync" | "readRangeSync">;

/** Weights of about so many numbers are decoded at once. */
const SECTION = 4_000_000;

/** Rows of a section, of rows with so many columns. */
export function rowsAtOnce(columns: number): number {
  return Math.max(1, Math.floor(SECTION / Math.max(1, columns)));
}

/** Rows and columns of a tensor whose leading dimensions all count as rows. */
export function rowsOf(shape: readonly number[]): { readonly rows: number; readonly columns: number } {
  const columns = shape.at(-1) ?? 1;
  return { rows: shape.slice(0, -1).reduce((product, size) => product * size, 1), columns };
}

/** A stored tensor that belongs to a weight. @throws CheckpointError where it is missing or of another type */
export function requirePart(
  stored: StoredTensors,
  name: string,
  of: string,
  dtypes: readonly SafetensorsDType[],
): TensorInfo {
  const info = stored.tensors.get(name);
  if (info === undefined) throw malformed(stored, of, `${quote(name)}, which it needs, is not in the checkpoint`);
  if (!dtypes.includes(info.dtype)) {
    throw malformed(stored, name, `has dtype ${info.dtype} where ${quote(of)} needs ${dtypes.join(" or ")}`);
  }
  return info;
}

/** The error for a stored tensor that is not what its configuration says. */
export function malformed(stored: Pick<StoredTensors, "folder">, tensor: string, what: string): CheckpointError {
  return new CheckpointError({
    where: `${stored.folder}, tensor ${quote(tensor)}`,
    what,
    why: "weights and quantization_config don't belong together, or a file is damaged",
    next: "download the model again, all files of one revision, or give the unquantized model",
  });
}

/** Whether two shapes are the same. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}
