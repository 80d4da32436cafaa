import type { FolderWeights } from "./tensor-reader.js";

/** Bytes that are compared at once. */
const PIECE = 16 * 2 ** 20;

/** Whether two tensors of a checkpoint have one dtype, one shape and the same bytes; reads up to the first difference. */
export function sameTensor(
  checkpoint: Pick<FolderWeights, "tensors" | "readRangeSync">,
  a: string,
  b: string,
): boolean {
  const [one, other] = [checkpoint.tensors.get(a), checkpoint.tensors.get(b)];
  if (one === undefined || other === undefined) return false;
  if (one.dtype !== other.dtype || one.shape.join() !== other.shape.join()) return false;
  for (let begin = 0; begin < one.byteLength; begin += PIECE) {
    const end = Math.min(begin + PIECE, one.byteLength);
    if (Buffer.compare(checkpoint.readRangeSync(a, begin, end), checkpoint.readRangeSync(b, begin, end)) !== 0) {
      return false;
    }
  }
  return true;
}
