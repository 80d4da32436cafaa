import { zFold } from "../transform/z-fold/z-fold.js";
import { boa } from "./boa.js";
import { gptq } from "./gptq.js";
import { collectAttention } from "./measure/unit-attention.js";
import { aespaOptions, startingFromBoa } from "./options/aespa.js";
import { part } from "./options/fragment.js";
import { always, when } from "./options/reading.js";
import { boaOptions } from "./options/shared/boa.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { candidatesOf } from "./options/shared/range.js";
import { defineRecipe } from "./recipe.js";
import { chooseColumns } from "./solve/column-solver.js";
import { foldUnit } from "./solve/fold-unit.js";
import { quadraticRule } from "./solve/quadratic-rule.js";
import { attentionFactorsOf, rowColumnOptions } from "./solve/row-column-rule.js";

/**
 * aespa: AdaRound of one Linear at a time on what its error does to attention, a quadratic that is computed beforehand, so that a
 * step costs one product and no text. For every head h
 *
 *   queries  tr(E[K_h K_h^T] dW C_X dW^T)        keys    tr(E[Q_h Q_h^T] dW C_X dW^T)
 *   values   tr(dW E[X A_h^T A_h X^T] dW^T)      others  tr(dW C_X dW^T)
 *
 * plus `lambda sum(1 - |2 h - 1|^beta)`. Before it Z-Fold gives each column of what reads a norm a factor, shared by those that read it,
 * which the norm's gains take over; and a solver along the columns gives the weight that is rounded. Errors are counted from the
 * weight itself, whatever the solver made of it.
 * Source: arXiv 2402.08958, section 3 and algorithm 1. Its losses are absolute; here that of the codes that training starts from is 1, so that
 * lambda means the same in every Linear.
 */
export const aespa = defineRecipe({
  name: "aespa",
  title: "aespa: roundings learnt on what they do to attention, one Linear at a time",
  paper: "arXiv 2402.08958",
  onlyText: "knows what attention makes of queries, keys and values",
  about: {
    trains: "roundings of one Linear at a time, on a quadratic",
    use: "low bits without passes over the text in training",
    cost: "one pass over the text, and 500 steps for every Linear",
  },
  options: {
    aespa: aespaOptions,
    boa: part(boaOptions, {
      blockV: always,
      valueRows: always,
      rowsAtOnce: when(startingFromBoa),
      rowDamping: when(startingFromBoa),
    }),
    gptq: gptqOptions,
  },
  presets: {
    default: {},
    paper: {
      aespa: { start: "gptq", iterations: 2000, rate: 1.5e-2 },
      boa: { valueRows: false },
      gptq: { widths: [1] },
    },
  },
  training: null,
  needsText: true,
  followedByEndToEnd: false,
  rotatesByDefault: false,
  windows: boa.windows,
  chain: boa.chain,
  cost: (options) => ({
    ...boa.cost(options),
    folds: options.aespa.zFold > 0,
    quadraticSteps: options.aespa.iterations,
    ...(options.aespa.start === "gptq" && { solves: () => 0 }),
  }),

  prepare(block, stream, work) {
    const { job, parts } = work;
    const { aespa: group, range } = job.options;
    if (stream === null) throw new TypeError("aespa needs calibration text");
    if (group.zFold > 0) {
      const folding = { rounds: group.zFold, candidates: candidatesOf(range) };
      foldUnit(job, block, stream, parts, (weights, extremes, storedType) =>
        zFold(weights, extremes.keys(), (name) => block.layers.get(name)?.scheme ?? job.scheme, storedType, folding),
      );
    }
    gptq.prepare(block, stream, work);
  },

  *solve(work) {
    const { job, blocks, input } = work;
    const { aespa: group, ...options } = job.options;
    if (input === null) throw new TypeError("aespa needs calibration text");
    for (const block of blocks) {
      const stage = `block ${block.index}: attention`;
      yield { event: "progress", stage, done: block.index, total: job.network.units.length };
      using attention = collectAttention(block, input, work, options.boa);
      const rule = quadraticRule({
        start: group.start,
        solver: rowColumnOptions(options),
        factorsOf: attentionFactorsOf(block, attention),
        // The paper's lambda is half as much again for queries, keys and values.
        training: (seen) => ({ ...group, penalty: seen ? group.attentionPenalty : group.penalty, poll: job.poll }),
      });
      yield* chooseColumns(work, block, input, rule);
    }
    return true;
  },
});
