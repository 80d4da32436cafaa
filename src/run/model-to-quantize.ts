import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { ModelConfig } from "../checkpoint/model-config.js";
import type { TensorReader } from "../checkpoint/tensor-reader.js";
import { type DecoderSpec, readSpec } from "../model/index.js";
import type { Scheme } from "../quant/scheme.js";
import { RotatedModel } from "../recipe/rotation/rotated-model.js";
import { wantsRotation } from "../recipe/rotation/rotation-rule.js";
import type { GivenOptions } from "./options.js";

/** What a run quantizes: the model of the user, or one that computes the same and is easier to quantize. */
export interface ModelToQuantize extends Disposable {
  readonly checkpoint: TensorReader;
  readonly spec: DecoderSpec;
  /** `config.json` of the result, but for its quantization. */
  readonly config: ModelConfig;
  readonly rotation: "none" | "hadamard";
  /** Names of the tensors that are not the user's. */
  readonly changed: readonly string[];
}

/** @throws ModelError for a model that is not supported; OptionError for a rotation that it can't have */
export function modelToQuantize(
  checkpoint: Checkpoint,
  config: ModelConfig,
  scheme: Scheme,
  options: GivenOptions,
): ModelToQuantize {
  const spec = readSpec(config);
  if (!wantsRotation(options.recipe, options, scheme, spec)) {
    return { checkpoint, spec, config, rotation: "none", changed: [], [Symbol.dispose]: () => {} };
  }
  const rotated = new RotatedModel(checkpoint, spec, options.seed);
  return {
    checkpoint: rotated,
    spec: rotated.spec,
    config: { ...config, tie_word_embeddings: false },
    rotation: "hadamard",
    changed: rotated.changed,
    [Symbol.dispose]: () => rotated[Symbol.dispose](),
  };
}
