import type { ModelConfig } from "../../checkpoint/model-config.js";
import type { FolderWeights, TensorReader } from "../../checkpoint/tensor-reader.js";
import { OptionError } from "../../errors.js";
import {
  type ConfigContradiction,
  type DecoderSpec,
  readModel,
  type TensorCensus,
  takeCensus,
  withNormMatrices,
} from "../../network/index.js";
import type { Scheme } from "../../quant/scheme.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import { wantsRotation } from "../../recipe/job/rotation-rule.js";
import { MatrixModel } from "../../transform/affine/matrix-model.js";
import { RotatedModel } from "../../transform/rotation/rotated-model.js";
import { type GivenOptions, recipeOptionsOf } from "../options/options.js";
import { readStoredInputs, type StoredInputs, withoutStoredInputs } from "./trained/stored-inputs.js";

/** What a run quantizes: the model of the user, or one that computes the same and is easier to quantize. */
export interface ModelToQuantize extends Disposable {
  readonly checkpoint: TensorReader;
  readonly spec: DecoderSpec;
  /** What becomes of the tensors of the user's model. */
  readonly census: TensorCensus;
  /** `config.json` of the result, but for its quantization. */
  readonly config: ModelConfig;
  readonly rotation: "none" | "hadamard";
  /** Names of the tensors that are not the user's. */
  readonly changed: readonly string[];
  readonly contradictions: readonly ConfigContradiction[];
  /** How its inputs are quantized where that was learnt with its weights, and holds for what is quantized; null otherwise. */
  readonly inputs: StoredInputs | null;
}

/**
 * @param given `config.json` of the model
 * @throws ModelError for a model that is not supported; CheckpointError for one that lacks a tensor; OptionError for a
 *   rotation that it can't have
 */
export function modelToQuantize(
  stored: FolderWeights,
  given: ModelConfig,
  scheme: Scheme,
  options: GivenOptions,
): ModelToQuantize {
  const model = foldableModel(stored, given, scheme, options);
  if (recipeOf(options.recipe).normMatrices?.(recipeOptionsOf(options)) !== true) return model;
  if (model.spec.blocks.some(({ mlp }) => mlp.kind === "experts")) {
    throw new OptionError({
      where: 'option "affine.norms"',
      what: "routers read what norms give too, in full precision, and a matrix behind these would change what they choose",
      next: "use --set affine.norms=diagonal",
    });
  }
  const { checkpoint, config, changed } = model;
  const matrices = new MatrixModel(checkpoint, model.spec);
  return {
    ...model,
    checkpoint: matrices,
    spec: matrices.spec,
    config: withNormMatrices(config),
    changed: [...changed, ...matrices.changed],
  };
}

function foldableModel(
  stored: FolderWeights,
  given: ModelConfig,
  scheme: Scheme,
  options: GivenOptions,
): ModelToQuantize {
  const { spec, config: resolved, contradictions, checkpoint } = readModel(given, stored);
  const config = withoutStoredInputs(resolved);
  const census = takeCensus(spec, config, stored.tensors.values());
  if (!wantsRotation(recipeOf(options.recipe), options, scheme, spec)) {
    const rotation = "none" as const;
    const inputs = inputsOf(given, checkpoint.folder, scheme, options);
    return {
      checkpoint,
      spec,
      census,
      config,
      contradictions,
      rotation,
      inputs,
      changed: [],
      [Symbol.dispose]: () => {},
    };
  }
  const rotated = new RotatedModel(checkpoint, spec, options.seed);
  return {
    checkpoint: rotated,
    spec: rotated.spec,
    census,
    config: { ...config, tie_word_embeddings: false },
    rotation: "hadamard",
    changed: rotated.changed,
    contradictions,
    // Those of the rotated model are other ones.
    inputs: null,
    [Symbol.dispose]: () => rotated[Symbol.dispose](),
  };
}

// Ranges hold for what the model's own Linears read: of a recipe that folds something into what makes it, they are measured.
function inputsOf(
  given: ModelConfig,
  folder: string,
  { activationBits }: Scheme,
  { recipe, activation }: GivenOptions,
): StoredInputs | null {
  const stored = readStoredInputs(given, folder);
  const wanted = activation.granularity === "tensor" && recipeOf(recipe).keepsInputs === true;
  return wanted && stored?.bits === activationBits ? stored : null;
}
