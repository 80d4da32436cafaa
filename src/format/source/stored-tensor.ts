import type { SafetensorsDType } from "../../checkpoint/dtype.js";
import { FormatError } from "../../errors.js";

/** One stored tensor with its bytes. */
export interface StoredTensor {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** @throws FormatError for a tensor of another type or shape */
export function expectTensor(
  tensor: StoredTensor,
  dtypes: readonly SafetensorsDType[],
  shape: readonly number[],
  where: string,
): void {
  const misfit = misfitOf(tensor, dtypes, shape);
  if (misfit !== null) damaged(where, misfit);
}

/** What is wrong with a tensor's type or shape; null where they are what is expected. */
export function misfitOf(
  tensor: StoredTensor,
  dtypes: readonly SafetensorsDType[],
  shape: readonly number[],
): string | null {
  const fits = tensor.shape.length === shape.length && shape.every((size, i) => tensor.shape[i] === size);
  if (fits && dtypes.includes(tensor.dtype)) return null;
  const expected = `${dtypes.join(" or ")} [${shape.join(", ")}]`;
  return `${tensor.dtype} [${tensor.shape.join(", ")}] where the configuration asks for ${expected}`;
}

/** Refuses a tensor whose content is none of its layout. */
export function damaged(
  where: string,
  what: string,
  why = "the file is damaged, or its configuration belongs to other weights",
): never {
  throw new FormatError({
    what,
    where,
    why,
    next: "export or download this folder again",
  });
}
