import type { ActivationStore } from "../../calibration/activation-store.js";
import { floatType, type InputSite, inBlock, type LinearRole, linearName } from "../../network/index.js";
import type { QuantizedBlock } from "../../reconstruct/quantized-block.js";
import type { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { type DType, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import type { cfpOptions } from "../options/shared/cfp.js";
import type { OptionsOf } from "../recipe.js";
import { ExtremesObserver, foldActivations } from "./fold-activations.js";

/**
 * CFP on a block that was opened: finds the outliers of its inputs on `stream`, which stands at its input, folds them
 * into its weights, fp32 afterwards, and hands over the norms and biases that changed.
 */
export function foldBlock(
  job: RecipeJob<OptionsOf<{ cfp: typeof cfpOptions }>>,
  block: QuantizedBlock,
  stream: ActivationStore,
  parts: SequenceParts,
): void {
  const { spec, checkpoint } = job;
  block.castWeights(job.dtype);
  const observer = new ExtremesObserver(spec);
  const observe = (role: LinearRole, input: Tensor): void => observer.observe(role, input);
  try {
    noGrad(() =>
      parts.each(stream.shape.sequences, (part) => {
        job.poll();
        scope(() => void block.forwardFull(stream.read(part), observe));
      }),
    );
    block.castWeights("float32");
    const name = inBlock(spec.names.norms.attentionNorm, block.index);
    const storedType = floatType(checkpoint.tensors.get(`${name}.weight`)?.dtype ?? "F32") ?? "float32";
    // A Linear that stays in full precision must keep its bytes, so its site is left alone.
    const foldable = new Map(
      [...observer.extremes].filter(([site]) => touched(site).every((role) => block.layers.has(role))),
    );
    for (const site of foldActivations(spec, block.weights, foldable, { ...job.options.cfp, storedType })) {
      deliverFolded(job, block, site, storedType);
    }
  } finally {
    observer.dispose();
  }
}

function touched(site: InputSite): readonly LinearRole[] {
  return site.producer === "v" || site.producer === "up" ? [site.producer, ...site.linears] : site.linears;
}

function deliverFolded(job: RecipeJob, block: QuantizedBlock, { producer }: InputSite, storedType: DType): void {
  const { spec } = job;
  const store = (name: string, tensor: Tensor): void => {
    const stored = scope(() => tensor.to(storedType).toArray());
    job.sink.plain(name, new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
  };
  noGrad(() => {
    if (producer === "attentionNorm" || producer === "mlpNorm") {
      const name = inBlock(spec.names.norms[producer], block.index);
      const { weight, bias } = block.weights.norms[producer];
      store(`${name}.weight`, weight);
      if (bias !== null) store(`${name}.bias`, bias);
    } else {
      const bias = block.weights.linears.get(producer)?.bias ?? null;
      if (bias !== null) store(`${linearName(spec, block.index, producer)}.bias`, bias);
    }
  });
}
