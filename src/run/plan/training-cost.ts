import { networkTensors } from "../../network/index.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import { divergenceBytes } from "../../reconstruct/objective/output-objective.js";
import { recipeOptionsOf } from "../options/options.js";
import { mostOfBlocks } from "./block-extents.js";
import type { LinearPlan } from "./linear-plans.js";
import { bytesOf, keptFloats, type MemoryInput, microBatchOf, weightsOf } from "./memory-model.js";
import type { MachineSpeed } from "./time/machine-speed.js";

/** What a training of the whole model takes, before any block is quantized. */
export interface TrainingCost {
  /** Windows that it counts as; 0 where the recipe trains none. */
  readonly parts: number;
  /** Bytes of tensors on the device at most. */
  readonly bytes: number;
  /** Numbers that learn. */
  readonly parameters: number;
  /** Seconds of a part. */
  readonly seconds: number;
  /** Bytes of what a continued run starts from, and of the model that it comes to. */
  readonly stateBytes: number;
  readonly modelBytes: number;
}

const none: TrainingCost = { parts: 0, bytes: 0, parameters: 0, seconds: 0, stateBytes: 0, modelBytes: 0 };

/**
 * Bytes of a weight: fp32 with its gradient, two moments and the state at the part's start; its operand, unless that is the
 * weight itself, and the gradient that it collects.
 */
const [HELD, OPERAND] = [20, 2];
/** fp32 tensors of a Linear's output that its kurtosis and that one's gradient take at once. */
const KURTOSIS_COPIES = 6;
/** Passes over the logits of a token beside the products of the head, and what one logit of a pass takes. */
const [LOGIT_PASSES, LOGIT_OPERATIONS] = [4, 180];
/** What operands, Adam and the checks of a step take of a weight, in operations of fp32 products: measured. */
const STEP_OPERATIONS = 180;

/** What the training of a run's recipe takes; nothing where it trains no whole model. */
export function trainingCost(
  input: MemoryInput,
  linears: readonly LinearPlan[],
  { speed, tokens }: { readonly speed: MachineSpeed; readonly tokens: number },
): TrainingCost {
  const { options, spec, checkpoint } = input;
  const training = recipeOf(options.recipe).wholeModel?.(recipeOptionsOf(options));
  if (training === undefined) return none;
  const { parts, epochs, batch } = training;
  const shapes = [...networkTensors(spec).values()];
  const weights = shapes.reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const clips = training.quantizesInputs && input.scheme.activationBits < 16 ? 2 * linears.length : 0;
  const width = bytesOf(options);
  const atOnce = microBatchOf(options, batch) * options.context;
  const penalised =
    training.penalty === null ? 0 : KURTOSIS_COPIES * 4 * mostOfBlocks(spec, ({ intermediate }) => intermediate);
  const unit =
    atOnce * ((keptFloats(input) + 2 * mostOfBlocks(spec, ({ intermediate }) => intermediate)) * width + penalised);
  const outputs = divergenceBytes(atOnce, spec.vocabSize) + atOnce * spec.hiddenSize * 2 * width;
  const operands = weights * (width < 4 ? OPERAND * width : width);
  const bytes =
    weights * HELD + operands + (spec.blocks.length + 1) * atOnce * spec.hiddenSize * width + Math.max(unit, outputs);
  const inBlocks = linears.reduce((sum, linear) => sum + weightsOf(linear), 0);
  const head = spec.vocabSize * (6 * spec.hiddenSize + LOGIT_PASSES * LOGIT_OPERATIONS);
  const steps = epochs * Math.ceil(options.samples / batch);
  const seconds =
    epochs * tokens * (inBlocks * (speed.forward + speed.training) + head / speed.flops) +
    (steps * weights * STEP_OPERATIONS) / speed.exactFlops;
  return {
    parts,
    bytes,
    parameters: weights + clips,
    seconds: seconds / parts,
    stateBytes: (weights + clips) * 12,
    modelBytes: [...checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
  };
}
