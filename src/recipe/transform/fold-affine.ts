import { createPortStore, type PortStore } from "../../calibration/port-store.js";
import { advance } from "../../reconstruct/advance.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { reconstruct } from "../../reconstruct/reconstruct.js";
import { affineQuant, affineTraining } from "../affine-quant.js";
import type { affineFirstOptions } from "../options/shared/affine.js";
import type { ratesOptions } from "../options/shared/rates.js";
import type { OptionsOf, UnitWork } from "../recipe.js";
import { chooseStorage } from "../state/streams.js";

/**
 * Trains AffineQuant's transforms of a block that was opened, in front of rounding to nearest, and folds them: what another
 * method then prepares computes the same and rounds better. Input and target are the full-precision block's own, because the
 * windows before it are not solved yet. Seeded by the block, so that a continued run finds the same.
 *
 * @param stream at the block's input, which it leaves there
 */
export function foldAffine(
  block: QuantizedUnit,
  stream: PortStore,
  work: UnitWork<OptionsOf<{ affine: typeof affineFirstOptions; rates: typeof ratesOptions }>>,
): void {
  const { job, parts } = work;
  const target = createPortStore(stream.shape, chooseStorage(job, stream.shape, 1), job);
  try {
    // The options of a run have every group whole, and preparing reads none that is left out here.
    affineQuant.prepare(block, stream, work as UnitWork<OptionsOf<typeof affineQuant.options>>);
    advance(stream, target, parts, (x) => {
      job.poll();
      return block.forwardFull(x);
    });
    const seed = job.seed * 65536 + block.index * 256;
    const training = reconstruct([block], stream, [target], { ...affineTraining(job.options, [block]), parts, seed });
    if (!learns(training, job.poll)) block.transform?.reset();
    for (const layer of block.layers.values()) layer.dropPath();
    block.foldTransform(job.dtype);
  } finally {
    target.dispose();
  }
}

function learns(training: ReturnType<typeof reconstruct>, poll: () => void): boolean {
  try {
    for (;;) {
      const next = training.next();
      if (next.done === true) return next.value;
      poll();
    }
  } finally {
    // Where the run is stopped, the training ends here too and frees what it holds.
    training.return(false);
  }
}
