import { z } from "zod";

/** What a held-out text says of source and result, as `crossblock.json` has it; whatever else stands there is passed over. */
export const qualityRecord = z.object({
  /** What was scored, in words. */
  text: z.string(),
  tokens: z.number(),
  context: z.number(),
  perplexity: z.object({ source: z.number(), result: z.number(), roundToNearest: z.number().nullable() }),
  /** Mean Kullback-Leibler divergence from the source to the result, in nats a token. */
  divergence: z.number(),
});

export type ResultQuality = z.output<typeof qualityRecord>;

/** Null where nothing was scored, and for what an early version wrote. */
export function qualityOf(record: unknown): ResultQuality | null {
  const parsed = z.object({ quality: qualityRecord }).safeParse(record);
  return parsed.success ? parsed.data.quality : null;
}
