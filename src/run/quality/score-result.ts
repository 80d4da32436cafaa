import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { sequencesFingerprint, type TokenSequences } from "../../calibration/token-sequences.js";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import { isOutOfMemory } from "../../tensor/index.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { ProgressEvent } from "../events/events.js";
import { pacedProgress } from "../events/paced-progress.js";
import type { RunIdentity } from "../journal/run-identity.js";
import { scoresFile } from "../journal/work-directory.js";
import { type SampleTexts, samplesShape } from "../result/result-details.js";
import { qualityShape, type ResultQuality } from "../result/result-record.js";
import { sampleTexts } from "./sample-texts.js";
import { type NetworkScores, type ScoredNetworks, scoreNetworks } from "./score-networks.js";
import type { TextsToWrite } from "./write-texts.js";

/** Scores and sample texts, or in words why there are none. */
export interface Scored {
  readonly quality: ResultQuality;
  readonly qualityMissing: string | null;
  readonly samples: SampleTexts;
  readonly samplesMissing: string | null;
}

/** What is scored, and where the scores wait for a run that is continued. */
export interface ScoreInput {
  readonly networks: ScoredNetworks;
  /** Held-out text, or why there is none. */
  readonly text: TokenSequences | string;
  /** What writes sample texts, or why nothing does. */
  readonly texts: TextsToWrite | string;
  /** The work folder. */
  readonly work: string;
  /** Of the run. */
  readonly identity: RunIdentity;
  /** Set where rounding to nearest is what the run did: its scores are the result's. */
  readonly isNearest: boolean;
}

/** What ended without an error, or why it did not. */
type Attempt<T> = { readonly value: T; readonly why: null } | { readonly value: null; readonly why: string };

/**
 * Scores a result on held-out text and has it write, once: a run that is continued finds what was done before. What makes it
 * impossible does not end a run that has its codes.
 */
export async function scoreResult(
  { networks, text, texts, work, identity, isNearest }: ScoreInput,
  { emit, poll }: RequestContext<ProgressEvent>,
): Promise<Scored> {
  const key = keyOf(identity, text, texts);
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
  const quality: Attempt<ResultQuality> =
    saved.quality !== null
      ? { value: saved.quality, why: null }
      : typeof text === "string"
        ? { value: null, why: text }
        : scored(networks, text, isNearest, during("scoring"));
  if (saved.quality === null && quality.value !== null) await save({ quality: quality.value, samples: null });
  const samples: Attempt<SampleTexts> =
    saved.samples !== null
      ? { value: saved.samples, why: null }
      : typeof texts === "string"
        ? { value: null, why: texts }
        : withinMemory("they were written", () => sampleTexts(texts, during("writing sample texts")));
  if (saved.samples === null && samples.value !== null) await save({ quality: quality.value, samples: samples.value });
  return {
    quality: quality.value,
    qualityMissing: quality.why,
    samples: samples.value,
    samplesMissing: samples.why,
  };
}

function scored(
  networks: ScoredNetworks,
  text: TokenSequences,
  isNearest: boolean,
  tell: (done: number, total: number) => void,
): Attempt<ResultQuality> {
  const started = performance.now();
  const { value: scores, why } = withinMemory("it was scored", () => scoreNetworks(networks, text, tell));
  if (scores === null) return { value: null, why };
  if (![scores.source, scores.result.perplexity, scores.result.divergence].every(Number.isFinite)) {
    return { value: null, why: "logits are no numbers: values overflow, or weights or scales are broken" };
  }
  const seconds = (performance.now() - started) / 1000;
  return { value: qualityOf(scores, text, isNearest, seconds), why: null };
}

function qualityOf(
  { source, result, tokens, roundToNearest }: NetworkScores,
  { sequences, context }: TokenSequences,
  isNearest: boolean,
  seconds: number,
): NonNullable<ResultQuality> {
  const rounded = isNearest ? result : roundToNearest;
  const nearest = rounded !== null && Number.isFinite(rounded.perplexity) ? rounded : null;
  return {
    text: `${sequences} ${sequences === 1 ? "sequence" : "sequences"} of the calibration text that nothing was calibrated on`,
    tokens,
    context,
    perplexity: { source, result: result.perplexity, roundToNearest: nearest?.perplexity ?? null },
    divergence: result.divergence,
    roundToNearestDivergence: nearest?.divergence ?? null,
    seconds,
  };
}

function withinMemory<T>(during: string, work: () => T): Attempt<T> {
  try {
    return { value: work(), why: null };
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    return { value: null, why: `memory ran out while ${during}` };
  }
}

function keyOf(identity: RunIdentity, text: TokenSequences | string, texts: TextsToWrite | string): string {
  const tokens = typeof text === "string" ? null : sequencesFingerprint(text);
  return createHash("sha256")
    .update(JSON.stringify({ identity, tokens, texts: typeof texts !== "string" }))
    .digest("hex");
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
