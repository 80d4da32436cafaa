import { grouped } from "../../quant/grid/grid.js";
import { binaryRange } from "../../quant/grid/group-grid.js";
import { ClippedWeight, clipAt, clipOf, PAPER_SHARE } from "../../quant/weight-path/clip/clipped-weight.js";
import { MixedWeight, type PathOfWidth } from "../../quant/weight-path/clip/mixed-weight.js";
import { FixedCodes } from "../../quant/weight-path/fixed-codes.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { noGrad, scope } from "../../tensor/index.js";

/**
 * Which codes learnt ranges have: those that were chosen, which stay, so that the scales learn; or the nearest ones of the model's
 * own weights, found anew in each step for clips that learn.
 */
export type RangeCodes = "solved" | "nearest";

/** Starts to train the ranges of a block whose codes are chosen, on the bits of these codes. */
export function learnRanges(block: QuantizedUnit, kind: RangeCodes): void {
  for (const [role, layer] of block.layers) {
    noGrad(() =>
      scope(() => {
        const { codes } = layer;
        const path =
          kind === "solved"
            ? new FixedCodes(codes)
            : new MixedWeight(block.exactWeight(role).to("float32"), codes, nearestOnClips);
        layer.soften();
        layer.learn(path);
      }),
    );
  }
}

// A group of one bit has no use for its extremes: between two values that far apart most weights would be in the middle.
const nearestOnClips: PathOfWidth = (weight, grid) => {
  const start =
    grid.bits > 1
      ? clipAt(PAPER_SHARE, grid)
      : clipOf(weight, { ...grid, ...binaryRange(grouped(weight, grid.groupSize)) });
  return new ClippedWeight(() => weight, grid, start);
};
