import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import { isOutOfMemory } from "../../tensor/index.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { ProgressEvent } from "../events/events.js";
import { pacedProgress } from "../events/paced-progress.js";
import { scoresFile } from "../journal/work-directory.js";
import { type SampleTexts, samplesShape } from "../result/result-details.js";
import { qualityShape, type ResultQuality } from "../result/result-record.js";

/** Scores and sample texts, or in words why there are none. */
export interface Scored {
  readonly quality: ResultQuality;
  readonly qualityMissing: string | null;
  readonly samples: SampleTexts;
  readonly samplesMissing: string | null;
}

/** What is done, or why it is not; returns why it came to nothing. */
type Work<T> = ((tell: (done: number, total: number) => void) => T | string) | string;

/** What is scored and written of a result. */
export interface ScoringWork {
  /** The work folder, where scores wait for a run that is continued. */
  readonly work: string;
  /** Tells them from the scores of another run. */
  readonly key: string;
  readonly score: Work<NonNullable<ResultQuality>>;
  readonly write: Work<NonNullable<SampleTexts>>;
}

/** What ended without an error, or why it did not. */
type Attempt<T> = { readonly value: T; readonly why: null } | { readonly value: null; readonly why: string };

/** Scores a result and has it write, once, whatever it is. What makes it impossible does not end a run that has its codes. */
export async function scoreOnce(
  { work, key, score, write }: ScoringWork,
  { emit, poll }: RequestContext<ProgressEvent>,
): Promise<Scored> {
  const saved = await savedScores(work, key);
  const save = (content: Pick<Scored, "quality" | "samples">): Promise<void> =>
    writeFileAtomically(join(work, scoresFile), `${JSON.stringify({ key, ...content })}\n`);
  const during = (stage: string): ((done: number, total: number) => void) => {
    const tell = pacedProgress(emit, stage);
    return (done, total) => {
      poll();
      tell(done, total);
    };
  };
  const quality = attempt(saved.quality, score, "it was scored", during("scoring"));
  if (saved.quality === null && quality.value !== null) await save({ quality: quality.value, samples: null });
  const samples = attempt(saved.samples, write, "they were written", during("writing sample texts"));
  if (saved.samples === null && samples.value !== null) await save({ quality: quality.value, samples: samples.value });
  return {
    quality: quality.value,
    qualityMissing: quality.why,
    samples: samples.value,
    samplesMissing: samples.why,
  };
}

function attempt<T extends object>(
  saved: T | null,
  work: Work<T>,
  during: string,
  tell: (done: number, total: number) => void,
): Attempt<T> {
  if (saved !== null) return { value: saved, why: null };
  if (typeof work === "string") return { value: null, why: work };
  try {
    const value = work(tell);
    return typeof value === "string" ? { value: null, why: value } : { value, why: null };
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    return { value: null, why: `memory ran out while ${during}` };
  }
}

const savedShape = z.strictObject({ key: z.string(), quality: qualityShape, samples: samplesShape });

async function savedScores(work: string, key: string): Promise<Pick<Scored, "quality" | "samples">> {
  try {
    const saved = savedShape.parse(JSON.parse(await readFile(join(work, scoresFile), "utf8")));
    if (saved.key === key) return saved;
  } catch {
    // Not there, or damaged: it is a matter of seconds.
  }
  return { quality: null, samples: null };
}
