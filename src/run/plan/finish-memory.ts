import { divergenceBytes } from "../../reconstruct/objective/output-objective.js";
import { mostOfBlocks } from "./block-extents.js";
import type { LinearPlan } from "./linear-plans.js";
import { bytesOf, groupsOf, keptFloats, type MemoryInput, microBatchOf, weightsOf } from "./memory-model.js";

/** Codes; and what a group of them has: scale, zero point, what is learnt with its gradient, two moments, its best state. */
const [CODE_BYTES, GROUP_BYTES] = [1, 7 * 4];

/**
 * Most bytes that the tensors of end-to-end training take on the device at once, the streams aside: the codes of the whole
 * network, the inputs of its blocks, and either one block as it is trained or the divergence of the outputs.
 *
 * @param linears all that are quantized, over all blocks
 */
export function finishBytes(input: MemoryInput, linears: readonly LinearPlan[]): number {
  const { options, spec } = input;
  const width = bytesOf(options);
  const tokens = microBatchOf(options, options.endToEnd.batch) * options.context;
  const weights = sum(linears, weightsOf);
  const block = weights / Math.max(1, spec.blocks.length);
  const held =
    weights * CODE_BYTES +
    sum(linears, groupsOf) * GROUP_BYTES +
    spec.vocabSize * spec.hiddenSize * width +
    (spec.blocks.length + 1) * tokens * spec.hiddenSize * width;
  // Codes less zero points, the weight in fp32 and, unless that is its dtype, as the products take it; its gradient.
  const operands = block * (8 + (width < 4 ? width : 0) + width);
  const activations = tokens * (keptFloats(input) + 2 * mostOfBlocks(spec, ({ intermediate }) => intermediate)) * width;
  const outputs = divergenceBytes(tokens, spec.vocabSize) + tokens * spec.hiddenSize * 2 * width;
  return held + Math.max(operands + activations, outputs);
}

/** Parameters that are trained end to end. */
export function finishParameters({ scheme, options }: MemoryInput, linears: readonly LinearPlan[]): number {
  const clips = scheme.activationBits < 16 && options.activation.learnClip ? linears.length : 0;
  return sum(linears, groupsOf) + clips;
}

function sum(linears: readonly LinearPlan[], of: (linear: LinearPlan) => number): number {
  return linears.reduce((total, linear) => total + of(linear), 0);
}
