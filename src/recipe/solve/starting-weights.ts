import { linearOf } from "../../network/index.js";
import { type Codes, dequantize, type Grid } from "../../quant/grid/grid.js";
import { searchRange } from "../../quant/grid/range.js";
import { gptq } from "../../quant/solver/gptq.js";
import { rowColumn } from "../../quant/solver/row-column.js";
import { coveringGrid } from "../../quant/weight-path/low-rank.js";
import type { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { isFiniteTensor, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { StageWork } from "../end-to-end/stage.js";
import { collectInputMoments } from "../measure/input-moments.js";
import { SiteMoments } from "../measure/site-moments.js";
import { collectAttention } from "../measure/unit-attention.js";
import type { SharedOptions } from "../options/shared-options.js";
import { attentionFactorsOf, rowColumnOptions } from "./row-column-rule.js";

/** Makes a Linear learn, from its weight `[out, in]` and the grid of its first codes. */
export type Begin = (layer: QuantizedLayer, weight: Tensor, grid: Grid) => void;

type Options = Pick<SharedOptions, "range" | "gptq" | "boa">;

/** Begins the training of a block's Linears with the weights that it has, rounded to nearest: on a searched range, or one that covers all. */
export function startNearest(
  block: QuantizedUnit,
  { job }: StageWork,
  { range }: Pick<SharedOptions, "range">,
  begin: Begin,
): void {
  for (const [role, layer] of block.layers) {
    job.poll();
    noGrad(() =>
      scope(() => {
        const { scheme, name } = layer;
        const exact = block.exactWeight(role).to("float32");
        const grid = range.search ? searchRange(exact, scheme, name, range) : coveringGrid(exact, scheme, name);
        begin(layer, linearOf(block.weights, role).weight, grid);
      }),
    );
  }
}

/**
 * Gives every Linear of a block a weight whose nearest codes are those of GPTQ or BoA: the one that the solver had before it rounded
 * each column, with all that it makes up for. It takes the place of the checkpoint's in the block, in the dtype of the products. Unlike the weight
 * that the codes stand for it lies anywhere between codes, so that a small change of it changes some of them, which nothing makes
 * up for. `slack` is how far from the codes it stays, as a share: with 0 it is what they stand for, and only a change of half a step
 * moves one. Linears behind another one see what that computes with.
 */
export function startByColumns(
  block: QuantizedUnit,
  { job, parts, opening }: StageWork,
  { slack, start, ...asked }: Options & { readonly slack: number; readonly start: "gptq" | "boa" },
  begin: Begin,
): void {
  const options = { ...rowColumnOptions(asked), refit: false, keepCorrected: true };
  if (opening === null) throw new TypeError("the solver needs the inputs of blocks");
  // Before any weight of the block is another one.
  using attention = start === "boa" ? collectAttention(block, opening, { job, parts }, asked.boa) : null;
  const factorsOf = attentionFactorsOf(block, attention);
  try {
    for (const site of block.plan.sites) {
      const names = site.consumers.filter((name) => block.layers.has(name));
      const [first] = names;
      if (first === undefined) continue;
      using sums = new SiteMoments(job.device);
      collectInputMoments(job, block, first, opening, parts, sums);
      // The recipe is refused where Linears are stacks of experts, which have moments of their own each.
      const [moments = null] = sums.of(first) ?? [];
      for (const name of names) {
        job.poll();
        const layer = block.layers.get(name) as QuantizedLayer;
        noGrad(() =>
          scope(() => {
            const exact = block.exactWeight(name).to("float32");
            const kept = linearOf(block.weights, name).weight;
            if (moments === null || !isFiniteTensor(moments.matrix)) {
              begin(layer, kept, searchRange(exact, layer.scheme, layer.name, options));
              return;
            }
            const factors = factorsOf(layer, moments);
            const found =
              factors === null
                ? gptq(exact, moments, layer.scheme, layer.name, options)
                : rowColumn(exact, factors, layer.scheme, layer.name, options);
            kept.copy_(between(found.corrected as Tensor, found.codes, slack));
            begin(layer, kept, found.codes);
          }),
        );
        layer.prepare();
      }
    }
  } finally {
    for (const layer of block.layers.values()) layer.release();
  }
}

// The weight at a share of the way from what codes stand for to itself.
function between(weight: Tensor, codes: Codes, share: number): Tensor {
  if (share === 1) return weight;
  const rounded = dequantize(codes);
  return rounded.add(weight.sub(rounded).mul(share));
}
