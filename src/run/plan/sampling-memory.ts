import { type DecoderSpec, networkTensors, RotaryTables } from "../../network/index.js";
import { numbersIn } from "../../tensor/index.js";
import { isSelfGenerated } from "../options/calibration-option.js";
import type { RunOptions } from "../options/options.js";
import { blockExtents } from "./block-extents.js";
import { bytesOf, type MemoryInput } from "./memory-model.js";

/** Sequences that grow at once where there is room: more make a token hardly cheaper. */
const MOST_AT_ONCE = 64;

/** Sequences that a run's model writes at once: as asked for, else as many as make sense; 0 where its text is read. */
export function samplingBatch(options: RunOptions): number {
  if (!isSelfGenerated(options)) return 0;
  return Math.min(options.selfGenerated.batch ?? MOST_AT_ONCE, options.samples);
}

/**
 * Most bytes on the device while the model writes its calibration text: the whole network, the keys and values of all
 * sequences, whose room doubles when it is full, and the probabilities of a token.
 */
export function samplingBytes(input: Pick<MemoryInput, "options" | "spec">): number {
  const { options, spec } = input;
  const batch = samplingBatch(options);
  if (batch === 0) return 0;
  const width = bytesOf(options);
  const room = 64 * 2 ** Math.max(0, Math.ceil(Math.log2(options.context / 64)));
  const kept = blockExtents(spec).reduce((sum, { kvHeads, headDim }) => sum + kvHeads * headDim, 0);
  const caches = 2 * kept * room * batch * width;
  // Logits, then in float64 themselves, less the largest, divided, their shares and the sums of these; which sums are below a place, as bits and numbers.
  const logits = batch * spec.vocabSize * (width + 5 * 8 + 1 + 8);
  const rotary = RotaryTables.numbers(spec, spec.maxPositions) * width;
  const shapes = [...networkTensors(spec).values()].map(numbersIn);
  const largest = Math.max(...shapes);
  // A tensor is read in fp32 before it becomes narrower.
  return (
    shapes.reduce((sum, each) => sum + each, 0) * width +
    rotary +
    Math.max(caches + logits, width < 4 ? 4 * largest : 0)
  );
}

/** Multiplications and additions that writing takes: a forward pass of each token, keys and values of earlier ones kept. */
export function samplingOperations({ options, spec }: Pick<MemoryInput, "options" | "spec">): number {
  if (!isSelfGenerated(options)) return 0;
  return 2 * weightsOfAll(spec) * options.samples * options.context;
}

function weightsOfAll(spec: DecoderSpec): number {
  const all = [...networkTensors(spec).values()].reduce((sum, shape) => sum + numbersIn(shape), 0);
  // A head of its own is multiplied with, and the embedding looked up.
  return spec.tied ? all : all - spec.vocabSize * spec.hiddenSize;
}
