import { networkTensors } from "../../network/index.js";
import { baseline } from "../../recipe/job/recipe-names.js";
import { LOGIT_BYTES, SAMPLES, SCORED, SMALL_NETWORK } from "../source/scored-size.js";
import type { LinearPlan } from "./linear-plans.js";
import { bytesOf, type MemoryInput, plainFloats, weightsOf, windowBytes } from "./memory-model.js";

/** Networks that are scored side by side: the source, the result, and round to nearest. */
const NETWORKS = 3;

/** Bytes that the comparison of a few rows of logits takes in float64, for each entry of the vocabulary. */
const COMPARED = 8 * 64;

/** Whether a run scores what it makes; `options.score` with text of which a part may be left. */
export function scores(input: Pick<MemoryInput, "options">, tokens: number): boolean {
  return input.options.score && tokens > 0;
}

/**
 * Most bytes that scoring takes on the device at once: a block in full precision beside the same rounded to nearest, or what is
 * behind the blocks, of two networks at most, with logits of some rows; and the streams of all three.
 *
 * @param linears of the block with most weights
 */
export function scoringBytes(input: MemoryInput, linears: readonly LinearPlan[]): number {
  const { spec, options } = input;
  const width = bytesOf(options);
  const context = Math.min(SCORED.context, spec.maxPositions);
  const streams = NETWORKS * SCORED.sequences * context * spec.hiddenSize * width;
  const rounded = { ...input, options: { ...options, recipe: baseline } };
  const block = windowBytes(rounded, { blocks: 1, linears }, 0) + context * plainFloats(input) * width;
  const matrix = spec.vocabSize * spec.hiddenSize;
  // A rotated network has a head of its own; each is loaded as it is stored.
  const heads = matrix * width * (options.rotation === "hadamard" ? 2 : 1) + matrix * 2;
  const logits = NETWORKS * Math.min(LOGIT_BYTES, context * spec.vocabSize * 4);
  return streams + Math.max(block, heads + logits + COMPARED * spec.vocabSize);
}

/** Additions and multiplications of scoring. */
export function scoringOperations({ spec }: Pick<MemoryInput, "spec">, linears: readonly LinearPlan[]): number {
  const tokens = SCORED.sequences * Math.min(SCORED.context, spec.maxPositions);
  const weights = linears.reduce((sum, linear) => sum + weightsOf(linear), 0);
  return NETWORKS * 2 * (weights + spec.vocabSize * spec.hiddenSize) * tokens;
}

/** Bytes of the whole network in the dtype of its products. */
export function networkBytes({ spec, options, checkpoint }: MemoryInput): number {
  const head = spec.tied && options.rotation === "hadamard" ? spec.vocabSize * spec.hiddenSize : 0;
  const largest = [...checkpoint.tensors.values()].reduce((most, { byteLength }) => Math.max(most, byteLength), 0);
  // One tensor is in memory as it is stored, too.
  return (elementsOf(spec) + head) * bytesOf(options) + 2 * largest;
}

function elementsOf(spec: MemoryInput["spec"]): number {
  const shapes = [...networkTensors(spec).values()];
  return shapes.reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

/** Whether sample texts are written whatever else the run needs: the network is small, and nothing was said of memory. */
export function isSmallNetwork(input: MemoryInput): boolean {
  return input.options.maxMemory === null && networkBytes(input) <= SMALL_NETWORK;
}

/** Reading the weights for one token takes as long as the products of so many at full speed. */
const TOKENS_TO_READ = { cpu: 20, gpu: 320 } as const;

/** The same of writing sample texts: they are bound by reading the weights. */
export function textOperations(input: MemoryInput): number {
  if (!isSmallNetwork(input)) return 0;
  const tokens = NETWORKS * SAMPLES.prompts * SAMPLES.tokens;
  return 2 * elementsOf(input.spec) * tokens * TOKENS_TO_READ[input.device === "cpu" ? "cpu" : "gpu"];
}
