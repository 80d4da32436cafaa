import type { Storage } from "../../calibration/activation-store.js";
import type { PortStore } from "../../calibration/port-store.js";
import type { TokenSequences } from "../../calibration/token-sequences.js";
import { KeyedQuantizer } from "../../quant/input/keyed.js";
import { quantizerFrom } from "../../quant/input/stored-quantizer.js";
import type { RecipeJob, RecipeResults } from "../../recipe/job/recipe-job.js";
import { chooseColumns } from "../../recipe/solve/column-solver.js";
import { nearestRule } from "../../recipe/solve/layer-rule.js";
import { openStreams } from "../../recipe/state/streams.js";
import { UnitSource } from "../../recipe/state/unit-source.js";
import { advance } from "../../reconstruct/advance.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { releaseCachedMemory } from "../../tensor/index.js";

/** Networks whose outputs on the same sequences are compared. */
export interface PassedNetworks {
  /** The source model: its checkpoint and network, with the scheme and options of the run. */
  readonly source: RecipeJob;
  /** What was quantized, which a rotation makes another model of. */
  readonly quantized: RecipeJob;
  /** The codes that the run came to. */
  readonly results: RecipeResults;
  /** Whether the source is rounded to nearest beside them. */
  readonly roundToNearest: boolean;
}

/** What left the last unit of each network. */
export interface PassedStreams {
  readonly full: PortStore;
  readonly nearest: PortStore | null;
  readonly result: PortStore;
}

/**
 * Takes sequences through source, result and round to nearest side by side: their units are opened one after the other, so
 * that no more than one of each is in memory.
 *
 * @param tell called with the units that are done, and of how many
 * @param use called with what came out
 */
export function withPassedStreams<T>(
  networks: PassedNetworks & { readonly sequencesAtOnce: number; readonly storage: Storage },
  sequences: TokenSequences,
  tell: (done: number, total: number) => void,
  use: (streams: PassedStreams) => T,
): T {
  const { source, quantized, roundToNearest, sequencesAtOnce, storage } = networks;
  releaseCachedMemory();
  const names = roundToNearest ? ["source", "nearest"] : ["source"];
  const [full, nearest = null] = openStreams(source, sequences, names, storage) as [PortStore, PortStore?];
  const opened = [full, ...(nearest === null ? [] : [nearest])];
  try {
    const [result] = openStreams(quantized, sequences, ["result"], storage) as [PortStore];
    opened.push(result);
    const parts = new SequenceParts(sequencesAtOnce, () => {});
    passUnits(networks, { full, nearest, result }, parts, sequences.context, tell);
    return use({ full, nearest, result });
  } finally {
    for (const stream of opened) stream.dispose();
  }
}

function passUnits(
  { source, quantized, results }: PassedNetworks,
  { full, nearest, result }: PassedStreams,
  parts: SequenceParts,
  length: number,
  tell: (done: number, total: number) => void,
): void {
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
      takeRanges(source, unit, results);
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

// Ranges of whole tensors come from the calibration: round to nearest takes those that the result has.
function takeRanges({ network, options, device }: RecipeJob, unit: QuantizedUnit, results: RecipeResults): void {
  if (network.staticInputs !== true && options.activation.granularity !== "tensor") return;
  for (const layer of unit.layers.values()) {
    const byStep = results.inputGridOf?.(layer.name) ?? null;
    if (byStep !== null) layer.quantizeInput(new KeyedQuantizer(byStep, device));
    const step = results.activationOf(layer.name);
    const bits = layer.scheme.activationBits;
    if (step === null || bits === 16) continue;
    const zeroPoint = results.zeroPointOf?.(layer.name) ?? null;
    layer.quantizeInput(quantizerFrom("tensor", bits, step, device, { learn: false, zeroPoint }));
  }
}

function during<T extends { dispose(): void }>(resource: T, use: (resource: T) => void): void {
  try {
    use(resource);
  } finally {
    resource.dispose();
  }
}
