import type { DecoderSpec } from "../../../network/index.js";
import { graphBlock } from "./graph-block.js";
import type { GraphWeights } from "./graph-weights.js";

/** Value names of what turns the pairs of a head at every position. */
export type RotaryTables = readonly [cosines: string, sines: string];

/** The tables of each block; null where positions do not turn. Blocks that turn alike share theirs. */
export function rotaryTables(weights: GraphWeights, spec: DecoderSpec): readonly (RotaryTables | null)[] {
  const known = new Map<string, RotaryTables>();
  return spec.blocks.map((_, block) => {
    const { rotary } = graphBlock(spec, block).attention;
    if (rotary === null) return null;
    const key = JSON.stringify(rotary);
    const made = known.get(key);
    if (made !== undefined) return made;
    const path = known.size === 0 ? "rotary" : `rotary.${known.size}`;
    const shape = [spec.maxPositions, rotary.width / 2] as const;
    const table = (part: "cosines" | "sines"): string =>
      weights.rotaryTable({ name: `${path}.${part}`, part, block }, shape);
    const tables = [table("cosines"), table("sines")] as const;
    known.set(key, tables);
    return tables;
  });
}
