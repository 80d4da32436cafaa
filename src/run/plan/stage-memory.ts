import type { Stage } from "../../recipe/end-to-end/stage.js";
import { divergenceBytes } from "../../reconstruct/objective/output-objective.js";
import { mostOfBlocks } from "./block-extents.js";
import type { LinearPlan } from "./linear-plans.js";
import {
  attentionBytes,
  bytesOf,
  choiceBytes,
  groupsOf,
  keptFloats,
  type MemoryInput,
  microBatchOf,
  mixingBytes,
  sum,
  weightsOf,
} from "./memory-model.js";

/** What a trained number takes: itself, its gradient, two moments, and its state when the epoch began. */
const TRAINED_BYTES = 5 * 4;

/**
 * Most bytes that the tensors of a stage take on the device at once, the streams aside: the weights or codes of the whole
 * network, the inputs of its blocks, and either one block as it is trained or the loss of the outputs.
 *
 * @param linears all that are quantized, over all blocks
 */
export function stageBytes(input: MemoryInput, linears: readonly LinearPlan[], stage: Stage): number {
  const { options, spec } = input;
  const { cost, batch, loss } = stage;
  const width = bytesOf(options);
  const tokens = microBatchOf(options, batch) * options.context;
  const weights = sum(linears, weightsOf);
  const block = weights / Math.max(1, spec.blocks.length);
  const largest = linears.reduce((most, linear) => Math.max(most, weightsOf(linear)), 0);
  const table = spec.vocabSize * spec.hiddenSize * width;
  const held =
    weights * cost.weightBytes(width) +
    sum(linears, groupsOf) * cost.groupBytes +
    stageParameters(input, linears, stage) * TRAINED_BYTES +
    // The head, and where no stream has the inputs the embedding.
    table * (loss === "divergence" ? 1 : 2) +
    (spec.blocks.length + 1) * tokens * spec.hiddenSize * width;
  const operands = block * cost.blockBytes(width) + cost.linearBytes(width, largest);
  const activations = tokens * (keptFloats(input) + 2 * mostOfBlocks(spec, ({ intermediate }) => intermediate)) * width;
  const outputs = divergenceBytes(tokens, spec.vocabSize) + tokens * spec.hiddenSize * 2 * width;
  // Moments of inputs and what choosing by them takes of the largest Linear, or inputs as attention mixes them.
  const chosen = Math.max(choiceBytes(input, linears), mixingBytes(input));
  const opening = cost.columns === true ? chosen + attentionBytes(input) : 0;
  return held + Math.max(operands + activations, outputs, opening);
}

/** Parameters that a stage trains. */
export function stageParameters(
  { scheme, options, spec }: MemoryInput,
  linears: readonly LinearPlan[],
  { cost }: Stage,
): number {
  const learnsClips = cost.clips && scheme.activationBits < 16 && options.activation.learnClip;
  const own = (linear: LinearPlan): number => {
    const { rows, columns } = linear.layout;
    return cost.parameters({ rows, columns, groups: groupsOf(linear), symmetric: scheme.symmetric });
  };
  return (
    sum(linears, own) +
    (learnsClips ? linears.length : 0) +
    (cost.otherParameters?.({ ...spec, blocks: spec.blocks.length }) ?? 0)
  );
}
