import { createHash } from "node:crypto";
import { sequencesFingerprint, type TokenSequences } from "../../calibration/token-sequences.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { ProgressEvent } from "../events/events.js";
import type { RunIdentity } from "../journal/run-identity.js";
import type { ResultQuality } from "../result/result-record.js";
import { sampleTexts } from "./sample-texts.js";
import { type NetworkScores, type ScoredNetworks, scoreNetworks } from "./score-networks.js";
import { type Scored, scoreOnce } from "./score-once.js";
import type { TextsToWrite } from "./write-texts.js";

/** What is scored, and where the scores wait for a run that is continued. */
export interface ScoreInput {
  readonly networks: ScoredNetworks;
  /** Held-out text, or why there is none. */
  readonly text: TokenSequences | string;
  /** What the text is part of, in words. */
  readonly of: string;
  /** What writes sample texts, or why nothing does. */
  readonly texts: TextsToWrite | string;
  /** The work folder. */
  readonly work: string;
  /** Of the run. */
  readonly identity: RunIdentity;
  /** Set where rounding to nearest is what the run did: its scores are the result's. */
  readonly isNearest: boolean;
}

/**
 * Scores a result on held-out text and has it write, once: a run that is continued finds what was done before. What makes it
 * impossible does not end a run that has its codes.
 */
export async function scoreResult(
  { networks, text, of, texts, work, identity, isNearest }: ScoreInput,
  context: RequestContext<ProgressEvent>,
): Promise<Scored> {
  return scoreOnce(
    {
      work,
      key: keyOf(identity, text, texts),
      score: typeof text === "string" ? text : (tell) => scored(networks, { ...text, of }, isNearest, tell),
      write: typeof texts === "string" ? texts : (tell) => sampleTexts(texts, tell),
    },
    context,
  );
}

function scored(
  networks: ScoredNetworks,
  text: TokenSequences & { readonly of: string },
  isNearest: boolean,
  tell: (done: number, total: number) => void,
): NonNullable<ResultQuality> | string {
  const started = performance.now();
  const scores = scoreNetworks(networks, text, tell);
  if (![scores.source, scores.result.perplexity, scores.result.divergence].every(Number.isFinite)) {
    return "logits are no numbers: values overflow, or weights or scales are broken";
  }
  return qualityOf(scores, text, isNearest, (performance.now() - started) / 1000);
}

function qualityOf(
  { source, result, tokens, roundToNearest }: NetworkScores,
  { sequences, context, of }: TokenSequences & { readonly of: string },
  isNearest: boolean,
  seconds: number,
): NonNullable<ResultQuality> {
  const rounded = isNearest ? result : roundToNearest;
  const nearest = rounded !== null && Number.isFinite(rounded.perplexity) ? rounded : null;
  return {
    text: `${sequences} ${sequences === 1 ? "sequence" : "sequences"} of ${of}`,
    tokens,
    context,
    perplexity: { source, result: result.perplexity, roundToNearest: nearest?.perplexity ?? null },
    divergence: result.divergence,
    roundToNearestDivergence: nearest?.divergence ?? null,
    seconds,
  };
}

function keyOf(identity: RunIdentity, text: TokenSequences | string, texts: TextsToWrite | string): string {
  const tokens = typeof text === "string" ? null : sequencesFingerprint(text);
  return createHash("sha256")
    .update(JSON.stringify({ identity, tokens, texts: typeof texts !== "string" }))
    .digest("hex");
}
