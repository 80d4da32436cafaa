import { scope } from "../../tensor/index.js";
import type { GptqResult } from "../solver/gptq.js";
import { fewPairs, type GroupBits, pairedPointer } from "./paired-pointer.js";

/**
 * The split of a Linear's bits that GPTQ bears best, by what the output loses, and what GPTQ made of it. Few splits are tried,
 * and one result is kept.
 *
 * @param salience of every group
 */
export function solvedSplit(
  salience: readonly number[],
  bits: number,
  solve: (bits: GroupBits) => GptqResult,
): GptqResult {
  let best: { readonly found: GptqResult; readonly loss: number } | null = null;
  pairedPointer(
    salience,
    bits,
    (split) => {
      const found = scope(() => solve(split));
      const loss = scope(() => found.loss.sum().item());
      const isBetter = best === null || loss < best.loss;
      const worse = isBetter ? best?.found : found;
      if (worse !== undefined) drop(worse);
      if (isBetter) best = { found, loss };
      return loss;
    },
    fewPairs(salience.length),
  );
  return (best as { readonly found: GptqResult } | null)?.found ?? solve([]);
}

function drop({ codes: { codes, scale, zeroPoint }, corrected, loss }: GptqResult): void {
  for (const tensor of [codes, scale, zeroPoint, corrected, loss]) tensor?.dispose();
}
