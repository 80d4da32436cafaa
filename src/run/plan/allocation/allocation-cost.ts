import type { BitItem } from "../../../recipe/allocation/bit-items.js";
import { probedSequences, RANGE_CANDIDATES } from "../../../recipe/allocation/output-sensitivities.js";
import { microBatch, mostAtOnce } from "../../../recipe/job/micro-batch.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import { divergenceBytes } from "../../../reconstruct/objective/output-objective.js";
import type { LinearPlan } from "../linear-plans.js";
import { bytesOf, keptFloats, type MemoryInput, weightsOf } from "../memory-model.js";

/** What measuring how bits are shared out takes. */
export interface AllocationCost {
  /** Bytes of its tensors on the device at once, the streams aside. */
  readonly working: number;
  /** Bytes of the inputs of all blocks. */
  readonly stores: number;
  readonly seconds: number;
}

/**
 * Counts what the sensitivities take: the inputs of all blocks, one block as it is loaded and rounded to every width, and its
 * pass with gradients, or the network's output.
 */
export function allocationCost(
  input: MemoryInput & { readonly flops: number },
  linears: readonly LinearPlan[],
  items: readonly BitItem[],
): AllocationCost {
  const { options, spec } = input;
  const width = bytesOf(options);
  const sequences = probedSequences(options.samples, options.context);
  const atOnce = Math.min(microBatch(options, mostAtOnce(recipeOf(options.recipe), options)), sequences);
  const [tokens, part] = [sequences * options.context, atOnce * options.context];
  const weights = linears.reduce((sum, linear) => sum + weightsOf(linear), 0);
  const block = weights / Math.max(1, spec.blocks.length);
  const widths = Math.max(1, ...items.map((item) => item.widths.length));
  const [largest, rows] = [
    Math.max(0, ...linears.map(weightsOf)),
    Math.max(0, ...linears.map(({ layout }) => layout.rows)),
  ];
  const changes = block * widths * width;
  const outer = spec.vocabSize * spec.hiddenSize * width;
  // A search holds three copies of the weight, and its result in fp32 beside them.
  const rounding = block * 4 + changes + 4 * 4 * largest;
  const passing =
    block * width + changes + part * ((keptFloats(input) + 2 * spec.hiddenSize) * width + rows * (4 + 2 * width));
  const output = outer + divergenceBytes(part, spec.vocabSize) + 2 * part * spec.hiddenSize * width;
  // Forward, forward again and back to the inputs, and a product for each width.
  const products = 2 * weights * tokens * (3 + widths) + 6 * spec.vocabSize * spec.hiddenSize * tokens;
  const tried = RANGE_CANDIDATES * (input.scheme.symmetric ? 2 : 7);
  const searched = weights * widths * tried * OPERATIONS_TRIED;
  return {
    working: Math.max(rounding, passing, output),
    stores: (spec.blocks.length + 1) * tokens * spec.hiddenSize * width,
    seconds: (products * OVERHEAD + searched) / input.flops,
  };
}

/** Time of a pass over that of its matrix products. */
const OVERHEAD = 2.5;
/** What trying a range costs a weight, in operations of a matrix product. */
const OPERATIONS_TRIED = 40;
