import { OptionError } from "../errors.js";
import type { Grid } from "../quant/grid/grid.js";
import { LowRankWeight } from "../quant/weight-path/low-rank.js";
import { QUANTIZED_AT_ONCE } from "../quant/weight-path/low-rank-product.js";
import type { QuantizedLayer } from "../reconstruct/quantized-layer.js";
import { freeOnError, manualSeed, type Tensor } from "../tensor/index.js";
import { brokenTraining } from "./end-to-end/broken-training.js";
import { noWindows } from "./end-to-end/no-windows.js";
import type { Stage } from "./end-to-end/stage.js";
import { notLowered } from "./job/fault-warnings.js";
import { part } from "./options/fragment.js";
import { l4qOptions, startingFromBoa, startingFromColumns } from "./options/own/l4q.js";
import { always, when } from "./options/reading.js";
import { activationOptions } from "./options/shared/activation.js";
import { boaOptions } from "./options/shared/boa.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { defineRecipe, gridParameterCount, type LinearSize, type OptionsOf } from "./recipe.js";
import { deliverBlock } from "./solve/finish-block.js";
import { attentionCost } from "./solve/row-column-rule.js";
import { startByColumns, startNearest } from "./solve/starting-weights.js";

const byColumns = when(startingFromColumns);
const fragments = {
  l4q: l4qOptions,
  activation: part(activationOptions, { learnClip: always }),
  gptq: part(gptqOptions, { damping: byColumns, weightedRange: byColumns, widths: byColumns, blockSize: byColumns }),
  boa: part(boaOptions, when(startingFromBoa)),
};

/** Sequences by whose inputs the first codes are chosen. */
const OPENING = 128;

/**
 * L4Q: a network is fine-tuned and quantized together. Every Linear is `W_q = Q(W0 + a B A)`, quantized anew at each step
 * with a scale `s` and an offset `b` per group (section 3.2: `lowRankProduct` has its equations), and `A`, `B`, `s` and `b`
 * learn together on the next tokens of the text, `W0` stays. The quantized weight has the low-rank term in it, so the
 * result is one integer model and nothing is added at run time, while `(quantized W0) + a B A` would be two.
 * Source: Jeon et al. (arXiv 2402.04902).
 *
 * Otherwise than there: offsets are whole steps, the zero points of --asym, since no format that runtimes load has real ones;
 * a symmetric grid has none. It begins with weights that round to the codes of GPTQ or BoA (section 3.3 rounds the model's own on a range that
 * covers both ends: the preset `paper`).
 */
export const l4q = defineRecipe({
  ...noWindows,
  name: "l4q",
  title: "L4Q: low-rank fine-tuning and quantization together, merged into one integer model",
  paper: "arXiv 2402.04902",
  onlyText: "trains a model on the next tokens of a text",
  about: {
    trains: "a low-rank term of every Linear, scales and zero points, on the next tokens",
    use: "fine-tuning on conversations or a domain, where the result is to be an integer model",
    cost: "some four passes over the text for each epoch, with the memory of LoRA",
  },
  options: fragments,
  presets: {
    default: {},
    // Its batch of 128 sequences and its rate for LLaMA-2; 25,000 iterations are micro-batches there, some 195 steps.
    paper: {
      range: { search: false },
      l4q: {
        ...{ start: "nearest", unit: "absolute" },
        ...{ rate: 2e-4, scaleRate: 2e-4, offsetRate: 2e-4, batch: 128, epochs: 1, warmup: 0.1, clip: null },
      },
    },
  },
  efforts: { quick: { l4q: { epochs: 1 } }, best: { l4q: { epochs: 4 } } },
  training: null,
  withoutExperts: "has a low-rank term for a whole Linear, and none for each expert of a stack",
  needsText: true,
  followedByEndToEnd: false,
  rotatesByDefault: false,
  answersOnly: ({ l4q: { loss } }) => loss === "answers",
  cost: ({ l4q: { batch, epochs, start }, boa }) => ({
    ...{ trains: false, batch, passes: 3 * epochs + 4, parameters: () => 0, normParameters: 0 },
    moments: start === "nearest" ? "none" : "site",
    ...(start === "boa" && attentionCost(boa)),
  }),
  check: ({ finish, endToEnd, activation }) => {
    if (finish === "scales" && endToEnd.loss === "divergence") {
      throw new OptionError({
        where: "recipe l4q",
        what: "scales that learn the model's own probabilities afterwards would forget what the text has taught",
        next: "leave out --finish scales, or use --set endToEnd.loss=next-token",
      });
    }
    if (activation.granularity === "tensor") {
      throw new OptionError({
        where: "recipe l4q",
        what: "it has no pass that measures ranges of inputs per tensor",
        next: "use --set activation.granularity=token",
      });
    }
  },
  stages: (options) => [fineTuning(options)],
});

function fineTuning(options: OptionsOf<typeof fragments>): Stage {
  const { l4q: group } = options;
  const { rank, alpha, unit, rate, scaleRate, offsetRate, activationRate } = group;
  return {
    ...group,
    loss: "next-token",
    openingSequences: group.start === "nearest" ? 0 : OPENING,
    rates: { lowRank: rate, scale: scaleRate, zeroPoint: offsetRate, input: activationRate },
    decay: { lowRank: group.decay },
    fallBack: "the weights are rounded as they were then",
    cost: {
      weightBytes: (width) => width,
      groupBytes: 4,
      parameters: (linear: LinearSize) => rank * (linear.rows + linear.columns) + gridParameterCount(linear),
      clips: true,
      columns: group.start !== "nearest",
      // One Linear at a time: its quantized weight and the gradient of that, then some rows in fp32.
      blockBytes: () => 0,
      linearBytes: (width, weights) => weights * 2 * width + Math.min(weights, QUANTIZED_AT_ONCE) * 24,
      operands: 8,
    },
    open(index, work) {
      const { job, source } = work;
      const block = source.open(index, options.activation.learnClip);
      return freeOnError([block], () => {
        block.castWeights(job.dtype);
        // A run that is continued draws the same.
        manualSeed((job.seed + index) % Number.MAX_SAFE_INTEGER);
        const begin = (layer: QuantizedLayer, weight: Tensor, grid: Grid): void => {
          const offset = layer.scheme.symmetric ? "none" : "integer";
          layer.learn(new LowRankWeight(weight, grid, { rank, alpha, unit, offset }));
        };
        if (group.start === "nearest") startNearest(block, work, options, begin);
        else startByColumns(block, work, { ...options, start: group.start, slack: group.slack }, begin);
        block.dropExactWeights();
        return block;
      });
    },
    remark: (losses) => {
      if (!Number.isFinite(losses.now)) throw brokenTraining("l4q", { option: "l4q.rate", value: rate });
      if (losses.now < losses.begun) return null;
      return notLowered("fine-tuning", losses, { next: "use lower rates (l4q.rate, l4q.scaleRate), or more text" });
    },
    // Merging is part of the quantization: codes of Q(W0 + a B A).
    deliver(block, { job }) {
      for (const layer of block.trained) layer.harden();
      deliverBlock(job, block);
    },
  };
}
