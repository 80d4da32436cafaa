import type { PortStore } from "../../calibration/port-store.js";
import type { TokenSequences } from "../../calibration/token-sequences.js";
import { comparePositions } from "../../evaluate/compare-positions.js";
import { tokenIds } from "../../network/decoder/token-ids.js";
import { checkpointSource, type DecoderSpec, type NetworkEnd } from "../../network/index.js";
import type { RecipeJob } from "../../recipe/job/recipe-job.js";
import { freeOnError, noGrad, scope, type Tensor } from "../../tensor/index.js";
import { LOGIT_BYTES } from "../source/scored-size.js";
import { type PassedNetworks, type PassedStreams, withPassedStreams } from "./pass-networks.js";

/** Networks that are scored on the same text. */
export interface ScoredNetworks extends PassedNetworks {
  readonly spec: DecoderSpec;
}

/** Scores of one network. */
export interface NetworkScore {
  readonly perplexity: number;
  /** Mean Kullback-Leibler divergence from the source's distributions to its own, in nats a token. */
  readonly divergence: number;
}

export interface NetworkScores {
  readonly tokens: number;
  /** Perplexity of the source. */
  readonly source: number;
  readonly result: NetworkScore;
  readonly roundToNearest: NetworkScore | null;
}

/**
 * Scores source, result and round to nearest side by side on a text: their blocks are opened one after the other, so that no
 * more than one of each is in memory. Values that are not finite are returned as they are.
 *
 * @param tell called with the blocks that are done, and of how many
 */
export function scoreNetworks(
  networks: ScoredNetworks,
  text: TokenSequences,
  tell: (done: number, total: number) => void,
): NetworkScores {
  // One sequence at a time: the products of a few hundred tokens fill a device.
  return withPassedStreams({ ...networks, sequencesAtOnce: 1, storage: "device" }, text, tell, (streams) =>
    compareOutputs(networks, streams, text),
  );
}

function compareOutputs(
  { source, quantized, spec }: ScoredNetworks,
  streams: PassedStreams,
  text: TokenSequences,
): NetworkScores {
  const { device, dtype } = source;
  const endOf = ({ network, checkpoint }: RecipeJob): NetworkEnd =>
    network.end(checkpointSource(checkpoint, { device, dtype }));
  const theirs = endOf(source);
  const ours = freeOnError([theirs], () => (quantized.checkpoint === source.checkpoint ? theirs : endOf(quantized)));
  const sums = { source: 0, result: [0, 0], nearest: [0, 0] };
  const { sequences, context } = text;
  const most = Math.max(1, Math.floor(LOGIT_BYTES / (4 * spec.vocabSize)));
  try {
    for (let i = 0; i < sequences; i++) {
      for (let start = 0; start < context - 1; start += most) {
        source.poll();
        const rows = Math.min(most, context - 1 - start);
        const next = text.ids.subarray(i * context + start + 1, i * context + start + 1 + rows);
        noGrad(() =>
          scope(() => {
            const logits = (stream: PortStore, end: NetworkEnd): Tensor => {
              const states = stream.read([i])[end.port] as Tensor;
              return end.head(states.narrow(1, start, rows).reshape([rows, states.size(2)]));
            };
            const tokens = tokenIds(spec, next, [1, rows], device).reshape([rows]);
            const reference = logits(streams.full, theirs);
            const add = (stream: PortStore, end: NetworkEnd, to: number[]): number => {
              const { own, other, divergence } = compared(logits(stream, end), reference, tokens);
              to[0] = (to[0] ?? 0) + own;
              to[1] = (to[1] ?? 0) + divergence;
              return other;
            };
            sums.source += add(streams.result, ours, sums.result);
            if (streams.nearest !== null) add(streams.nearest, theirs, sums.nearest);
          }),
        );
      }
    }
  } finally {
    if (ours !== theirs) ours.dispose();
    theirs.dispose();
  }
  const tokens = sequences * (context - 1);
  const score = ([log = 0, divergence = 0]: number[]): NetworkScore => ({
    perplexity: Math.exp(-log / tokens),
    divergence: divergence / tokens,
  });
  return {
    tokens,
    source: Math.exp(-sums.source / tokens),
    result: score(sums.result),
    roundToNearest: streams.nearest === null ? null : score(sums.nearest),
  };
}

/** Rows that are compared at once in float64. */
const ROWS = 8;

function compared(
  logits: Tensor,
  reference: Tensor,
  tokens: Tensor,
): { readonly own: number; readonly other: number; readonly divergence: number } {
  const sums = { own: 0, other: 0, divergence: 0 };
  for (let start = 0; start < tokens.size(0); start += ROWS) {
    const count = Math.min(ROWS, tokens.size(0) - start);
    scope(() => {
      const part = (x: Tensor): Tensor => x.narrow(0, start, count);
      const positions = comparePositions(part(logits), part(reference), part(tokens));
      sums.own += positions.logProbability.sum().item();
      sums.other += positions.referenceLogProbability.sum().item();
      sums.divergence += positions.divergence.sum().item();
    });
  }
  return sums;
}
