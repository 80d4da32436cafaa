import type { PortStore } from "../../calibration/port-store.js";
import {
  foldedLayers,
  layerOf,
  linearOf,
  normOf,
  normWeights,
  type Site,
  type UnitWeights,
} from "../../network/index.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { type DType, noGrad, scope, type Tensor } from "../../tensor/index.js";
import { type ChannelExtremes, ExtremesObserver } from "../../transform/cfp/fold-outliers.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { deliverPlain, storedType } from "./deliver-plain.js";

/**
 * Folds factors of channels into a unit's weights, fp32, by the extremes of its inputs; norms and biases are rounded to
 * `storedType` at once. Returns the sites that changed.
 */
export type Fold = (weights: UnitWeights, extremes: ReadonlyMap<Site, ChannelExtremes>, storedType: DType) => Site[];

/**
 * Folds a unit that was opened: finds the extremes of its inputs on `stream`, which stands at its input, has `fold` change
 * its weights, fp32 afterwards, and hands over the norms and biases that changed.
 */
export function foldUnit(
  job: RecipeJob,
  unit: QuantizedUnit,
  stream: PortStore,
  parts: SequenceParts,
  fold: Fold,
): void {
  unit.castWeights(job.dtype);
  const observer = new ExtremesObserver(unit.plan);
  const observe = (layer: string, input: Tensor): void => observer.observe(layer, input);
  try {
    noGrad(() =>
      parts.each(stream.shape.sequences, (part) => {
        job.poll();
        scope(() => void unit.forwardFull(stream.read(part), observe));
      }),
    );
    unit.castWeights("float32");
    const dtype = normsType(job, unit);
    // A Linear that stays in full precision must keep its bytes, so its site is left alone.
    const foldable = new Map(
      [...observer.extremes].filter(([site]) => foldedLayers(site).every((name) => unit.layers.has(name))),
    );
    for (const site of fold(unit.weights, foldable, dtype)) {
      deliverFolded(job, unit, site, dtype);
    }
  } finally {
    observer.dispose();
  }
}

// Checkpoints keep norms and biases in one dtype.
function normsType(job: RecipeJob, { plan }: QuantizedUnit): DType {
  const [norm] = plan.norms;
  return norm === undefined ? "float32" : storedType(job, `${norm.module}.weight`);
}

function deliverFolded(job: RecipeJob, { plan, weights }: QuantizedUnit, { producer }: Site, dtype: DType): void {
  const store = (name: string, tensor: Tensor | null): void => {
    if (tensor !== null) deliverPlain(job, name, tensor, dtype);
  };
  if (producer?.kind === "norm") {
    const { module } = normOf(plan, producer.name);
    const { weight, bias } = normWeights(weights, producer.name);
    store(`${module}.weight`, weight);
    store(`${module}.bias`, bias);
  } else if (producer !== null) {
    store(`${layerOf(plan, producer.name).module}.bias`, linearOf(weights, producer.name).bias);
  }
}
