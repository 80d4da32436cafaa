import type { DecoderSpec } from "../../../network/index.js";
import { fileAttentions } from "./attentions.js";
import type { GgufFamily } from "./families.js";

/** Which blocks of a network have a window, as a file says it. */
export interface WindowPattern {
  readonly window: number;
  /** Every so many-th block sees everything. */
  readonly fullEvery: number;
}

/** Null where llama.cpp's graph of the network has no window, or the network has none. */
export function windowPattern(
  spec: DecoderSpec,
  { windows, windowedBlocks, asksForWindow }: GgufFamily,
): WindowPattern | null {
  const attentions = fileAttentions(spec);
  const window = attentions.find(({ attention }) => attention.slidingWindow !== null)?.attention.slidingWindow ?? null;
  if (windows === undefined) return null;
  const { length } = spec.blocks;
  // llama.cpp loads no file of such a family without blocks that have one, so all get one that no context reaches.
  if (window === null) return asksForWindow === true ? { window: spec.maxPositions, fullEvery: length + 1 } : null;
  if (windowedBlocks !== undefined && windowedBlocks !== length) return null;
  const fits = (every: number): boolean =>
    attentions.every(({ block, attention }) => (attention.slidingWindow === null) === ((block + 1) % every === 0));
  const others = Array.from({ length }, (_, i) => i + 2);
  return { window, fullEvery: [windows, ...others].find(fits) ?? windows };
}
