import { mostPairs } from "../../quant/allocate/paired-pointer.js";
import { type Scheme, schemeName } from "../../quant/scheme.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { WarningEvent } from "../job/recipe-job.js";

/** Columns of the smallest group that schemes have. */
const SMALLEST = 8;

/**
 * Says which Linears of a block keep the same bits in all of their groups, because these are fewer than four: SliM-LLM moves a bit
 * from one group to another and leaves two as they are. Small models need small groups for it.
 * Source: SliM-LLM (arXiv 2405.14917), algorithm 1, which has no candidate there.
 *
 * @param block whose Linears are still to be quantized
 * @returns null where every Linear has groups enough
 */
export function unsplitGroups(block: QuantizedUnit): WarningEvent | null {
  const widths = new Map(
    [...block.layers].map(([role, { scheme }]) => [role, { scheme, columns: block.exactWeight(role).size(-1) }]),
  );
  const few = [...widths].filter(([, { scheme, columns }]) => mostPairs(columns / (scheme.groupSize ?? columns)) === 0);
  const [first] = few;
  if (first === undefined) return null;
  const size = enoughGroups([...widths.values()].map(({ columns }) => columns));
  const asked: Scheme = { ...first[1].scheme, groupSize: size };
  return {
    event: "warning",
    message: `groups of ${first[1].scheme.groupSize} columns are fewer than four in a row: all of them keep the same bits`,
    where: `all blocks: ${few.map(([role]) => role).join(", ")}`,
    next: size === null ? "use --recipe gptq" : `give --scheme ${schemeName(asked)}, or use --recipe gptq`,
  };
}

/** The largest groups of which every one of these widths has four at least; null where none do. */
export function enoughGroups(widths: readonly number[]): number | null {
  const most = Math.floor(Math.min(...widths) / 4);
  for (let size = most; size >= SMALLEST; size--) {
    if (widths.every((width) => width % size === 0)) return size;
  }
  return null;
}
