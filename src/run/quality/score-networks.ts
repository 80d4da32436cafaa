import type { PortStore } from "../../calibration/port-store.js";
import type { TokenSequences } from "../../calibration/token-sequences.js";
import { comparePositions } from "../../evaluate/compare-positions.js";
import { tokenIds } from "../../network/decoder/token-ids.js";
import { checkpointSource, type DecoderSpec, type NetworkEnd } from "../../network/index.js";
import type { RecipeJob, RecipeResults } from "../../recipe/job/recipe-job.js";
import { chooseColumns } from "../../recipe/solve/column-solver.js";
import { nearestRule } from "../../recipe/solve/layer-rule.js";
import { openStreams } from "../../recipe/state/streams.js";
import { UnitSource } from "../../recipe/state/unit-source.js";
import { advance } from "../../reconstruct/advance.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { freeOnError, noGrad, releaseCachedMemory, scope, type Tensor } from "../../tensor/index.js";
import { LOGIT_BYTES } from "../source/scored-size.js";

/** Networks that are scored on the same text. */
export interface ScoredNetworks {
  /** The source model: its checkpoint and network, with the scheme and options of the run. */
  readonly source: RecipeJob;
  /** What was quantized, which a rotation makes another model of. */
  readonly quantized: RecipeJob;
  /** The codes that the run came to. */
  readonly results: RecipeResults;
  readonly spec: DecoderSpec;
  /** Whether the source is rounded to nearest beside them. */
  readonly roundToNearest: boolean;
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
  const { source, quantized, roundToNearest } = networks;
  releaseCachedMemory();
  const names = roundToNearest ? ["source", "nearest"] : ["source"];
  const [full, nearest = null] = openStreams(source, text, names, "device") as [PortStore, PortStore?];
  const opened = [full, ...(nearest === null ? [] : [nearest])];
  try {
    const [result] = openStreams(quantized, text, ["result"], "device") as [PortStore];
    opened.push(result);
    passBlocks(networks, { full, nearest, result }, text.context, tell);
    return compareOutputs(networks, { full, nearest, result }, text);
  } finally {
    for (const stream of opened) stream.dispose();
  }
}

interface Streams {
  readonly full: PortStore;
  readonly nearest: PortStore | null;
  readonly result: PortStore;
}

function passBlocks(
  { source, quantized, results }: ScoredNetworks,
  { full, nearest, result }: Streams,
  length: number,
  tell: (done: number, total: number) => void,
): void {
  // One sequence at a time: the products of a few hundred tokens fill a device.
  const parts = new SequenceParts(1, () => {});
  using ours = new UnitSource(quantized, length);
  using theirs = new UnitSource(source, length);
  const pass = (stream: PortStore, run: Parameters<typeof advance>[3]): void =>
    advance(stream, stream, parts, (x, part) => {
      source.poll();
      return run(x, part);
    });
  const units = source.network.units.length;
  for (let k = 0; k < units; k++) {
    tell(k, units);
    during(theirs.open(k, false), (unit) => {
      unit.castWeights(source.dtype);
      pass(full, (x) => unit.forwardFull(x));
      if (nearest === null) return;
      roundUnit(source, unit, parts);
      pass(nearest, (x) => unit.forwardQuantized(x));
    });
    during(ours.openFinished(k, results, false), (unit) => {
      for (const layer of unit.trained) layer.previewHard();
      pass(result, (x) => unit.forwardQuantized(x));
    });
  }
  tell(units, units);
}

function roundUnit(job: RecipeJob, unit: QuantizedUnit, parts: SequenceParts): void {
  const events = chooseColumns({ job, parts, warnings: [] }, unit, null, nearestRule(job.options));
  // What it tells is the round's own, which nobody asked for.
  while (events.next().done !== true);
}

function compareOutputs(
  { source, quantized, spec }: ScoredNetworks,
  streams: Streams,
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

function during<T extends { dispose(): void }>(resource: T, use: (resource: T) => void): void {
  try {
    use(resource);
  } finally {
    resource.dispose();
  }
}
