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
  const fits = tensor.shape.length === shape.length && shape.every((size, i) => tensor.shape[i] === size);
  if (fits && dtypes.includes(tensor.dtype)) return;
  const expected = `${dtypes.join(" or ")} [${shape.join(", ")}]`;
  damaged(where, `${tensor.dtype} [${tensor.shape.join(", ")}] where the configuration asks for ${expected}`);
}

/** Refuses a tensor whose content is none of its layout. */
export function damaged(where: string, what: string): never {
  throw new FormatError({
    what,
    where,
    why: "the file is damaged, or its configuration belongs to other weights",
    next: "export or download this folder again",
  });
}
