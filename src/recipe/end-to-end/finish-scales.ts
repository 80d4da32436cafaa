import { notLowered } from "../job/fault-warnings.js";
import type { EngineOptions } from "../options/engine-options.js";
import { gridParameterCount } from "../recipe.js";
import { deliverInput } from "../solve/finish-block.js";
import type { Stage } from "./stage.js";

/**
 * End-to-end training, after any recipe: codes stay, and the scales of all blocks, with the clips of their inputs, train
 * together so that the network's output comes near the full-precision one. What every window lost by itself adds up over
 * the blocks; here all of them see the sum. Scales are handed over only where they lower the loss.
 * Source: E2E-QP in EfficientQAT (arXiv 2407.11062), section 3.3.
 */
export function finishScales({ endToEnd, schedule, activation }: EngineOptions): Stage {
  const { epochs, batch, loss, scaleRate, activationRate, warmup, clip } = endToEnd;
  return {
    ...{ epochs, pieces: 1, batch, loss, warmup, clip, finalRate: schedule.finalRate },
    rates: { scale: scaleRate, input: activationRate },
    fallBack: "the scales stay as they were before this epoch",
    cost: {
      // Codes; scale and zero point of a group.
      weightBytes: () => 1,
      groupBytes: 2 * 4,
      parameters: (linear) => gridParameterCount({ ...linear, symmetric: true }),
      clips: true,
      // Codes less zero points, the weight in fp32 and, unless that is its dtype, as the products take it; its gradient.
      blockBytes: (width) => 8 + (width < 4 ? width : 0) + width,
      linearBytes: () => 0,
      // On the way forward and on the way back; scales alone learn.
      operands: 3,
    },
    open(index, { source, job: { results } }) {
      if (results === null) throw new TypeError("end-to-end training needs what the windows came to");
      return source.openFinished(index, results, activation.learnClip);
    },
    refuse: (losses) =>
      losses.now < losses.begun
        ? null
        : notLowered("end-to-end training", losses, {
            becomes: "the scales stay",
            next: "nothing to do; a lower rate may help (--set endToEnd.scaleRate=0.0005), or --finish none saves the time",
          }),
    deliver(block, { job: { sink } }) {
      for (const layer of block.trained) {
        layer.harden();
        sink.rescaled(layer.name, layer.codes.scale.toFloat32Array());
        deliverInput(sink, layer);
      }
    },
  };
}
