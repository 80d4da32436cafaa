import type { PortStore } from "../../calibration/port-store.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { groupSizes, noGrad, scope } from "../../tensor/index.js";
import type { UnitWork } from "../recipe.js";

/** How many calibration tokens each expert of a block computes, and which experts are to see all of them. */
export interface ExpertTokens {
  /** By expert. */
  readonly counts: readonly number[];
  /** Experts whose second moments are those of all tokens. */
  readonly through: readonly number[];
}

/**
 * Counts the tokens of every expert of a block, on a stream at its input, and has the block keep them; null for a block without experts. With
 * `experts=routed` those that get fewer tokens than `expertTokens` are to see all, and a warning names them.
 */
export function countExpertTokens(
  block: QuantizedUnit,
  stream: PortStore,
  { job, parts, warnings }: Pick<UnitWork, "job" | "parts" | "warnings">,
): ExpertTokens | null {
  const stack = block.plan.layers.find(({ experts }) => experts !== undefined);
  if (stack?.experts === undefined) return null;
  const counts = new Array<number>(stack.experts).fill(0);
  let counted = 0;
  noGrad(() =>
    parts.each(stream.shape.sequences, (part) => {
      job.poll();
      scope(() => {
        let sizes: readonly number[] = [];
        block.forwardQuantized(stream.read(part), (layer, _input, _linear, groups) => {
          if (layer === stack.name && groups !== undefined) sizes = groupSizes(groups);
        });
        // A part that fails for memory comes once more, in smaller ones.
        if ((part[0] ?? 0) < counted) return;
        for (const [expert, size] of sizes.entries()) counts[expert] = (counts[expert] ?? 0) + size;
        counted = (part.at(-1) ?? 0) + 1;
      });
    }),
  );
  block.expertTokens = counts;
  const { experts, expertTokens } = job.options;
  const cold = [...counts.keys()].filter((expert) => (counts[expert] ?? 0) < expertTokens);
  if (experts === "all") return { counts, through: [...counts.keys()] };
  if (cold.length > 0) warnings.push(coldExperts(block.index, cold, counts));
  return { counts, through: cold };
}

function coldExperts(block: number, cold: readonly number[], counts: readonly number[]) {
  const shown = cold.slice(0, SHOWN).map((expert) => `${expert} (${counts[expert]})`);
  const more = cold.length > SHOWN ? ` and ${cold.length - SHOWN} more` : "";
  return {
    event: "warning",
    message: `${cold.length} of ${counts.length} experts compute few tokens of the text, and get the second moments of all tokens: ${shown.join(", ")}${more}`,
    where: `block ${block}`,
    next: "give more or other text (--samples, --calibration); --experts all has every expert see every token",
  } as const;
}

/** Experts that a warning names. */
const SHOWN = 8;
