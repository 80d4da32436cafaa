import { gptq } from "./gptq.js";
import { collectAttention } from "./measure/unit-attention.js";
import { boaOptions } from "./options/shared/boa.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { defineRecipe } from "./recipe.js";
import { chooseColumns } from "./solve/column-solver.js";
import { attentionCost, attentionFactorsOf, rowColumnRule } from "./solve/row-column-rule.js";

/**
 * BoA: GPTQ that knows what errors of queries, keys and values do to attention, without any gradient.
 *
 * GPTQ takes `tr(dW C_X dW^T)` for what an error costs, row by row. Here, for every head h,
 *
 *   queries  tr(E[K_h K_h^T] dW C_X dW^T)        keys    tr(E[Q_h Q_h^T] dW C_X dW^T)
 *   values   tr(dW E[X A_h^T A_h X^T] dW^T)      others  tr(dW C_X dW^T)
 *
 * so that rows make up for each other too: `quant/solver/row-column.ts` solves it.
 * Source: arXiv 2406.13474. Its published perplexities take the best of four orders of the columns by that of the test text;
 * here the order is that of the checkpoint, which groups of columns ask for anyway.
 */
export const boa = defineRecipe({
  name: "boa",
  title: "BoA: GPTQ that knows what attention makes of queries, keys and values",
  paper: "arXiv 2406.13474",
  onlyText: "knows what attention makes of queries, keys and values",
  about: {
    trains: "nothing",
    use: "better codes than GPTQ's at 2 and 3 bits, where attention matters",
    cost: "one pass over the text, and twice GPTQ's time",
  },
  options: { boa: boaOptions, gptq: gptqOptions },
  presets: {
    default: {},
    // The paper searches ranges with the whole factor and does not widen them.
    paper: { boa: { valueRows: false, rowsAtOnce: 1 }, gptq: { widths: [1] } },
  },
  training: null,
  needsText: true,
  followedByEndToEnd: false,
  rotatesByDefault: false,
  windows: gptq.windows,
  prepare: gptq.prepare,
  // On the stream of the quantized network; the factors are those of the block in full precision on it.
  chain: () => ({ input: "quantized", targets: [] }),
  cost: ({ boa: group }) => ({
    trains: false,
    moments: "site",
    ...attentionCost(group),
    passes: 4,
    parameters: () => 0,
    normParameters: 0,
  }),

  *solve(work) {
    const { job, blocks, input } = work;
    if (input === null) throw new TypeError("boa needs calibration text");
    for (const block of blocks) {
      const stage = `block ${block.index}: attention`;
      yield { event: "progress", stage, done: block.index, total: job.network.units.length };
      using attention = collectAttention(block, input, work, job.options.boa);
      yield* chooseColumns(work, block, input, rowColumnRule(job.options, attentionFactorsOf(block, attention)));
    }
    return true;
  },
});
