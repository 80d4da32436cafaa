import { LOGIT_BYTES, SCORED } from "../source/scored-size.js";
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
  const rounded = { ...input, options: { ...options, recipe: "rtn" as const } };
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
