import type { TokenSequences } from "../../../calibration/token-sequences.js";

/** Numbers of examples where a recipe has token ids: each example is a sequence of one. */
export function numberedExamples(first: number, count: number): TokenSequences {
  return { ids: Int32Array.from({ length: count }, (_, i) => first + i), sequences: count, context: 1 };
}
