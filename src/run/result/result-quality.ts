import { z } from "zod";
import { qualityShape, type ResultQuality } from "./result-record.js";

/** What was scored, and what came of it. */
export type Scores = NonNullable<ResultQuality>;

const scored = z.object({ quality: qualityShape });

/** The scores in a record; null where nothing was scored, and for what an early version wrote. */
export function qualityOf(record: unknown): Scores | null {
  const parsed = scored.safeParse(record);
  return parsed.success ? parsed.data.quality : null;
}
