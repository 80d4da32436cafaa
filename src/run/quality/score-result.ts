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
import { qualityShape, type ResultQuality } from "../result/result-record.js";
import { type ScoredNetworks, scoreNetworks } from "./score-networks.js";

/** Scores, or in words why there are none. */
export interface Scored {
  readonly quality: ResultQuality;
  readonly missing: string | null;
}

/** What is scored, and where the scores wait for a run that is continued. */
export interface ScoreInput {
  readonly networks: ScoredNetworks;
  readonly text: TokenSequences;
  /** What it is part of, in words. */
  readonly of: string;
  /** The work folder. */
  readonly work: string;
  /** Of the run. */
  readonly identity: RunIdentity;
  /** Set where rounding to nearest is what the run did: its scores are the result's. */
  readonly isNearest: boolean;
}

/**
 * Scores a result on held-out text, once: a run that is continued finds what was scored before. What makes scoring impossible does
 * not end a run that has its codes.
 */
export async function scoreResult(
  { networks, text, of, work, identity, isNearest }: ScoreInput,
  { emit, poll }: RequestContext<ProgressEvent>,
): Promise<Scored> {
  const key = keyOf(identity, text);
  const saved = await savedScores(work, key);
  if (saved !== null) return { quality: saved, missing: null };
  const started = performance.now();
  const tell = pacedProgress(emit, "scoring");
  let scores: ReturnType<typeof scoreNetworks>;
  try {
    scores = scoreNetworks(networks, text, (done, total) => {
      poll();
      tell(done, total);
    });
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    return { quality: null, missing: "memory ran out while it was scored" };
  }
  const { source, result, tokens } = scores;
  const nearest = isNearest ? result : scores.roundToNearest;
  if (![source, result.perplexity, result.divergence].every(Number.isFinite)) {
    return { quality: null, missing: "logits that are no numbers: values overflow, or weights or scales are broken" };
  }
  const roundToNearest = nearest !== null && Number.isFinite(nearest.perplexity) ? nearest : null;
  const quality = {
    text: `${text.sequences} ${text.sequences === 1 ? "sequence" : "sequences"} of ${of}`,
    tokens,
    context: text.context,
    perplexity: { source, result: result.perplexity, roundToNearest: roundToNearest?.perplexity ?? null },
    divergence: result.divergence,
    roundToNearestDivergence: roundToNearest?.divergence ?? null,
    seconds: (performance.now() - started) / 1000,
  };
  await writeFileAtomically(join(work, scoresFile), `${JSON.stringify({ key, quality })}\n`);
  return { quality, missing: null };
}

function keyOf(identity: RunIdentity, text: TokenSequences): string {
  const tokens = sequencesFingerprint(text);
  return createHash("sha256").update(JSON.stringify({ identity, tokens })).digest("hex");
}

const savedShape = z.strictObject({ key: z.string(), quality: qualityShape });

async function savedScores(work: string, key: string): Promise<ResultQuality> {
  try {
    const saved = savedShape.parse(JSON.parse(await readFile(join(work, scoresFile), "utf8")));
    return saved.key === key ? saved.quality : null;
  } catch {
    // Not there, or damaged: it is a matter of seconds.
    return null;
  }
}
