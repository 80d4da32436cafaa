import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import { type DecoderSpec, decoderUnits } from "../../network/index.js";
import type { Scheme } from "../../quant/scheme.js";
import { foldsActivations } from "../../recipe/job/folds-activations.js";
import { learnsClips } from "../../recipe/job/learns-clips.js";
import { microBatch, mostAtOnce, stepBatch } from "../../recipe/job/micro-batch.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import { MIXED_AT_ONCE } from "../../recipe/measure/attention-factors.js";
import { declares } from "../../recipe/options/option-readers.js";
import type { Device } from "../../tensor/index.js";
import type { RunOptions } from "../options/options.js";
import { type BlockExtent, mostOfBlocks } from "./block-extents.js";
import type { LinearPlan } from "./linear-plans.js";

/** What the memory of a window depends on. */
export interface MemoryInput {
  readonly options: RunOptions;
  readonly scheme: Scheme;
  readonly spec: DecoderSpec;
  readonly device: Device;
  /** Whether the device has our kernels: what is composed of libtorch's operators keeps more. */
  readonly kernels: boolean;
  /** Whether libtorch has an attention that keeps no scores. */
  readonly fusedAttention: boolean;
  readonly checkpoint: Pick<TensorReader, "tensors">;
}

/** A window's blocks and the Linears in them that are quantized. */
export interface WindowPlan {
  readonly blocks: number;
  readonly linears: readonly LinearPlan[];
}

/**
 * Most bytes that the tensors of a window take on the device at once, the streams aside. The phases follow the code:
 * embedding, loading, preparing (a block without gradients, GPTQ), training. Counted with libtorch 1.13 on the CPU
 * to a few percent (`docs/measurements/memory.md`).
 *
 * @param tokens calibration tokens; 0 when the recipe reads weights only
 */
export function windowBytes(input: MemoryInput, { blocks, linears }: WindowPlan, tokens: number): number {
  const { options } = input;
  const width = bytesOf(options);
  const weights = sum(linears, weightsOf);
  const block = weights / Math.max(1, blocks);
  const recipe = recipeOf(options.recipe);
  const { trains, transformParameters, solvesFirst = false } = recipe.cost(options);
  const exact = width < 4 && !fitProducts(input, linears) ? 4 : 0;
  // In the dtype of the products; on the CPU a rounding keeps what it rounds in fp32, which is the exact weight or a copy.
  const held = block * (width + (trains && width < 4 && input.device === "cpu" ? 4 : exact));
  // Before any rounding of its Linears.
  const opened = block * (width + exact);
  const learnt = trains ? sum(linears, (linear) => trainedParameters(linear, input)) : 0;
  const batch = passSequences(options);
  const atOnce = tokens === 0 ? 0 : batch * options.context;
  // The last block comes to those that are prepared already.
  const prepared = (blocks - 1) * held + (learnt * 4 * (blocks - 1)) / blocks;
  // Codes in fp32 and the weights that they stand for, of a block's Linears that are done.
  const chosen = trains && !solvesFirst ? 0 : block * (4 + width);
  const phases = [
    embeddingBytes(input, tokens),
    // In fp32 first.
    prepared + block * (width < 4 ? 4 + width : 4),
    prepared + opened + chosen + atOnce * plainFloats(input) * width,
    prepared + opened + chosen + atOnce * observedBytes(input) + momentBytes(input, linears),
    prepared + opened + chosen + atOnce * plainFloats(input) * width + mixingBytes(input) + attentionBytes(input),
    prepared + opened + chosen + choiceBytes(input, linears) + attentionBytes(input),
  ];
  if (trains) {
    const activations = blocks * keptFloats(input) + 2 * mostOfBlocks(input.spec, ({ intermediate }) => intermediate);
    const fp8 = options.compute.gradients === "fp8" && recipe.trainsLinears !== false ? weights : 0;
    const inStep = Math.min(batch, stepBatch(recipe, options)) * options.context;
    // Parameters with two moments and their best state, soft weights, and those once more in another dtype and in fp8.
    const kept = solvesFirst ? weights * SOLVED : 0;
    const training =
      blocks * held + learnt * 16 + weights * (width < 4 ? 4 + width : 4) + fp8 + batchBytes(input) + kept;
    const moved =
      transformParameters === undefined
        ? 0
        : TRANSFORMED * weights +
          TRANSFORMED_BACK * largest(linears) +
          MATRICES * Math.max(...decoderUnits(input.spec).map(transformParameters));
    const composed = (input.kernels ? 0 : weights * COMPOSED_ROUNDING) + moved;
    phases.push(
      training + composed + weights * width + inStep * activations * width,
      // The gradients of the products pass through the roundings, all at once.
      training + composed + weights * (width < 4 ? 4 + width : 4) + learnt * 4,
    );
  }
  return Math.max(...phases);
}

// Whether the products' dtype holds the weights as they are stored, rotated and folded; else they are kept in fp32 as well.
function fitProducts({ options, scheme, checkpoint }: MemoryInput, linears: readonly LinearPlan[]): boolean {
  const recipe = recipeOf(options.recipe);
  if (recipe.cost(options).folds === true) return false;
  if (declares(recipe, "cfp.activations") && foldsActivations(options, scheme)) return false;
  return linears.every(({ name }) => checkpoint.tensors.get(`${name}.weight`)?.dtype === "BF16");
}

// The inputs of a step's whole batch and its targets, which stay in place while a window is trained.
function batchBytes({ options, spec }: MemoryInput): number {
  const recipe = recipeOf(options.recipe);
  const stores = 1 + recipe.chain(options).targets.length;
  const vectors = Math.min(stepBatch(recipe, options), options.samples) * options.context * stores;
  return vectors * spec.hiddenSize * bytesOf(options);
}

/**
 * What a transform and the clips behind it keep of every weight from its way forwards: the transformed weight, half of all weights once more
 * that are changed on both sides, and the zeros that their rounding adds.
 */
const TRANSFORMED = 10;
/** What they make of a Linear at a time on the way back: gradients of the rounded and of the transformed weight, and of its extremes. */
const TRANSFORMED_BACK = 16;

/** Of every weight whose codes are chosen before its range is trained: the code in a byte, in fp32, and less its zero point. */
const SOLVED = 9;

/**
 * Of every number of a transform: fp32 with gradient, moments and best state, the matrix that it makes for each Linear that reads it, and
 * its inverse, which is found in fp64.
 */
const MATRICES = 100;

function largest(linears: readonly LinearPlan[]): number {
  return linears.reduce((most, linear) => Math.max(most, weightsOf(linear)), 0);
}

/** What a rounding out of libtorch's operators keeps of every weight for its gradient: six tensors. */
const COMPOSED_ROUNDING = 24;

/** Parameters that a Linear trains. */
export function trainedParameters(
  linear: LinearPlan,
  { options, scheme }: Pick<MemoryInput, "options" | "scheme">,
): number {
  const { layout, readsInput } = linear;
  const { rows, columns, bits } = layout;
  const recipe = recipeOf(options.recipe);
  const { parameters } = recipe.cost(options);
  const clip = scheme.activationBits < 16 && readsInput !== true && learnsClips(recipe, options) ? 1 : 0;
  const size = { rows, columns, bits, groups: groupsOf(linear), symmetric: scheme.symmetric };
  return parameters({ ...size, ...(readsInput === true && { readsInput }) }) + clip;
}

export function weightsOf({ layout }: LinearPlan): number {
  return layout.rows * layout.columns;
}

/** Weights that a token is multiplied with. */
export function weightsPerToken(linear: LinearPlan): number {
  return weightsOf(linear) * (linear.share ?? 1);
}

/** Groups of columns over all rows. */
export function groupsOf(linear: LinearPlan): number {
  return weightsOf(linear) / linear.layout.groupSize;
}

/** Bytes of a number as the products take it. */
export function bytesOf({ compute }: RunOptions): number {
  return compute.dtype === "bfloat16" ? 2 : 4;
}

/** Sequences of a step of `batch` on the device at once, as far as the plan knows. */
export function microBatchOf(options: RunOptions, batch: number): number {
  return Math.min(microBatch(options, batch), options.samples);
}

// Of a window's passes without gradients.
function passSequences(options: RunOptions): number {
  return microBatchOf(options, mostAtOnce(recipeOf(options.recipe), options));
}

// What autograd keeps of a token and a block: the residual stream twice, both norms' outputs, queries, keys, values,
// the attention's output as it comes and as the next product takes it, and what the MLP's nonlinearity reads and gives.
export function keptFloats(input: MemoryInput): number {
  return mostOfBlocks(input.spec, (extent) => keptOf(input, extent));
}

function keptOf({ spec, scheme, options, device, kernels, fusedAttention }: MemoryInput, extent: BlockExtent): number {
  const { heads, kvHeads, headDim, inner, intermediate } = extent;
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  const own = 4 * spec.hiddenSize + 3 * queries + 2 * keys + inner;
  const quantized = scheme.activationBits < 16 ? inputWidths(extent) : 0;
  // Libtorch's attention wants keys and values of every head, and keeps those.
  const repeated = 2 * (queries - keys);
  if (kernels) {
    const attention = device === "cpu" ? 0 : repeated;
    return own + attention + quantized * (options.activation.granularity === "token" ? 1 : COMPOSED_INPUT);
  }
  // Norms in fp32, the activation of the gate; heads that are repeated, or half of all scores.
  const wide = (bytesOf(options) < 4 ? 8 : 2) * spec.hiddenSize;
  const attention = fusedAttention ? repeated : (heads * options.context) / 2;
  return own + wide + attention + intermediate + quantized * COMPOSED_INPUT;
}

/** Tensors that fake quantization of an input keeps when libtorch's operators make it up. */
const COMPOSED_INPUT = 4;

// A block without gradients holds all that it computes until it ends, keys and values of every head included.
export function plainFloats(input: MemoryInput): number {
  return mostOfBlocks(input.spec, (extent) => plainOf(input, extent));
}

function plainOf({ spec, scheme, device, kernels, fusedAttention }: MemoryInput, extent: BlockExtent): number {
  const { heads, kvHeads, headDim, inner } = extent;
  const own = 7 * spec.hiddenSize + 4 * heads * headDim + 3 * kvHeads * headDim;
  const tiled = kernels && device === "cpu";
  const repeated = tiled || !fusedAttention || heads === kvHeads ? 0 : 2 * heads * headDim;
  return own + repeated + inner + (scheme.activationBits < 16 ? inputWidths(extent) : 0);
}

// Bytes of a token where the last Linear's inputs are added to the second moments: its output and the sum behind it are
// still to come, and products in fp32 want a copy of the inputs.
function observedBytes(input: MemoryInput): number {
  const { spec } = input;
  const width = bytesOf(input.options);
  const copy = width < 4 ? 4 * mostOfBlocks(spec, ({ inputs }) => Math.max(...inputs)) : 0;
  return (plainFloats(input) - 2 * spec.hiddenSize) * width + copy;
}

// Every Linear quantizes its own input.
function inputWidths({ columns }: BlockExtent): number {
  return sum(columns, (width) => width);
}

// Sequences that are embedded at once, with the table and its bytes as stored.
function embeddingBytes({ spec, options }: MemoryInput, tokens: number): number {
  if (tokens === 0) return 0;
  const rows = Math.min(tokens, 16 * options.context);
  return spec.vocabSize * spec.hiddenSize * (bytesOf(options) + 2) + rows * spec.hiddenSize * bytesOf(options);
}

// Second moments of a block's inputs: of all of them or of one site at a time.
function momentBytes({ spec, options }: MemoryInput, linears: readonly LinearPlan[]): number {
  const { moments } = recipeOf(options.recipe).cost(options);
  if (moments === "none" || linears.length === 0) return 0;
  return mostOfBlocks(spec, ({ moments: numbers }) => {
    const squares = numbers.map((count) => count * 4);
    return moments === "block" ? sum(squares, (bytes) => bytes) : Math.max(...squares);
  });
}

// Choosing the codes of a block's largest Linear: GPTQ holds five squares while it inverts, then two beside seven
// copies of the weight; a search of ranges three copies; sorting for outliers takes the places along.
export function choiceBytes(input: MemoryInput, linears: readonly LinearPlan[]): number {
  const { options } = input;
  const { quadraticSteps: quadratic = 0 } = recipeOf(options.recipe).cost(options);
  return linears.reduce((most, { layout: { rows, columns } }) => {
    const [weight, square] = [rows * columns * 4, columns ** 2 * 4];
    const solving = (quadratic > 0 ? QUADRATIC_COPIES : usesMoments(options) ? 7 : 3) * weight;
    const search = solving + (options.cfp.weights ? 6 * weight : 0);
    const inverse = usesMoments(options) ? Math.max(5 * square, 2 * square + search) : search;
    return Math.max(most, inverse + momentBytes(input, linears));
  }, 0);
}

/**
 * Tensors of a weight's size while it is trained on a quadratic: itself, as corrected, two sets of codes, the rounding with gradient and
 * moments, the soft weight with its gradient, its error twice, and what the rounding's gradient is made of.
 */
const QUADRATIC_COPIES = 16;

// What is known of a block's attention while its codes are chosen: squares of the heads, and one of the hidden size for each head of the
// values.
export function attentionBytes({ spec, options }: MemoryInput): number {
  const { attention } = recipeOf(options.recipe).cost(options);
  if (attention === undefined) return 0;
  return mostOfBlocks(spec, ({ heads, kvHeads, headDim }) => {
    const values = attention === "values" ? kvHeads * spec.hiddenSize ** 2 : 0;
    return 4 * ((heads + 3 * kvHeads) * headDim ** 2 + values);
  });
}

// Inputs that are mixed for as many heads at once as there is room for: in pieces and as a whole, and in fp32 for a head.
export function mixingBytes({ spec, options }: MemoryInput): number {
  const { attention } = recipeOf(options.recipe).cost(options);
  if (attention !== "values") return 0;
  return mostOfBlocks(spec, ({ heads, kvHeads }) => {
    const head = (heads / kvHeads) * options.context * spec.hiddenSize;
    const mixed = head * Math.max(1, Math.min(kvHeads, Math.floor(MIXED_AT_ONCE / head)));
    return 2 * mixed * bytesOf(options) + 4 * head;
  });
}

function usesMoments(options: RunOptions): boolean {
  return recipeOf(options.recipe).cost(options).moments !== "none";
}

/** What values come to in all. */
export function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}
