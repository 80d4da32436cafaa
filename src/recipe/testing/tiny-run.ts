import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { DecoderNetwork, type DecoderSpec, readSpec } from "../../network/index.js";
import { deeperModel, tinyModel, writeTinyModel } from "../../network/testing/tiny-models.js";
import type { KeyedGrid } from "../../quant/input/keyed-grid.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { parseScheme } from "../../quant/scheme.js";
import { manualSeed, scope, Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { type RecipeName, recipeOf } from "../job/recipe-names.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import { resolveRecipeOptions } from "../options/resolve-recipe-options.js";

const [CONTEXT, SEQUENCES] = [16, 6];

/** Ids of sequences of `context` tokens, all of the vocabulary. */
export function tinyTokens(spec: DecoderSpec, sequences: number, context = CONTEXT): NonNullable<RecipeJob["tokens"]> {
  const ids = Int32Array.from({ length: context * sequences }, (_, i) => (i * i * 7 + i * 3 + 1) % spec.vocabSize);
  return { ids, sequences, context };
}

/** A tiny network with random weights, on the disk. */
export interface TinyNetwork extends Disposable {
  readonly checkpoint: Checkpoint;
  readonly spec: DecoderSpec;
  readonly network: DecoderNetwork;
  readonly folder: string;
}

/**
 * `model`: how many blocks of a Llama, or the family whose tiny model it is.
 * `gainOf`: every norm's gain; without it, the gains are those that a tiny model is written with.
 * `fill`: gives every other tensor its values; without it they are random.
 */
export async function tinyNetwork(
  model: number | string,
  gainOf?: (norm: string) => number,
  fill: (values: Float32Array) => void = (values) =>
    scope(() => values.set(Tensor.randn([values.length]).mul(0.25).toFloat32Array())),
): Promise<TinyNetwork> {
  manualSeed(5);
  const folder = temporaryFolder();
  const tiny = typeof model === "string" ? tinyModel(model) : deeperModel(tinyModel("llama"), model);
  await writeTinyModel(folder.path, tiny, (name, values, shape) => {
    if (name.includes("norm")) {
      if (gainOf !== undefined) values.fill(gainOf(name));
    } else fill(values);
    return shape;
  });
  return openedNetwork(folder);
}

/** The tiny model of a family, random but for its norms; `change` alters a tensor's values once they are there. */
export async function familyNetwork(
  family: string,
  change: (name: string, values: Float32Array, shape: readonly number[]) => void = () => {},
): Promise<TinyNetwork> {
  manualSeed(5);
  const folder = temporaryFolder();
  await writeTinyModel(folder.path, tinyModel(family), (name, values, shape) => {
    if (!name.includes("norm")) scope(() => values.set(Tensor.randn([values.length]).mul(0.25).toFloat32Array()));
    change(name, values, shape);
    return shape;
  });
  return openedNetwork(folder);
}

async function openedNetwork(folder: ReturnType<typeof temporaryFolder>): Promise<TinyNetwork> {
  const checkpoint = await Checkpoint.open(folder.path);
  const spec = readSpec(await readModelConfig(folder.path));
  const dispose = (): void => {
    checkpoint.close();
    folder[Symbol.dispose]();
  };
  return { checkpoint, spec, network: new DecoderNetwork(spec), folder: folder.path, [Symbol.dispose]: dispose };
}

/** What a run handed over, as end-to-end training reads it back. */
export interface Delivered {
  readonly weights: Map<string, QuantizedWeight>;
  readonly plain: Map<string, Uint8Array>;
  readonly activations: Map<string, number>;
  readonly zeroPoints: Map<string, number>;
  /** Bits of inputs, where they are not the scheme's. */
  readonly inputBits: Map<string, number>;
  readonly inputGrids: Map<string, KeyedGrid>;
}

/** A job whose results stay in memory, beside them. */
export function tinyJob(
  {
    checkpoint,
    network,
    folder,
    spec,
  }: Pick<RecipeJob, "checkpoint" | "network"> & Pick<TinyNetwork, "folder"> & Partial<Pick<TinyNetwork, "spec">>,
  recipe: RecipeName,
  scheme: string,
  options: RecipeOptionsInput,
  more: Partial<RecipeJob> = {},
): { readonly job: RecipeJob; readonly delivered: Delivered } {
  const delivered: Delivered = {
    weights: new Map(),
    plain: new Map(),
    activations: new Map(),
    zeroPoints: new Map(),
    inputBits: new Map(),
    inputGrids: new Map(),
  };
  const job: RecipeJob = {
    checkpoint,
    network,
    recipe: recipeOf(recipe),
    scheme: parseScheme(scheme),
    options: resolveRecipeOptions(options, { recipe }),
    seed: 1,
    tokens: spec === undefined ? null : tinyTokens(spec, SEQUENCES),
    device: "cpu",
    dtype: "float32",
    gradients: "full",
    storage: "host",
    scratch: folder,
    resume: null,
    poll: () => {},
    sink: {
      linear: (name, weight) => void delivered.weights.set(name, weight),
      plain: (name, bytes) => void delivered.plain.set(name, bytes),
      rescaled: (name, scales) =>
        void delivered.weights.set(name, { ...(delivered.weights.get(name) as QuantizedWeight), scales }),
      activation: (name, value, zeroPoint, bits) => {
        delivered.activations.set(name, value);
        if (bits !== undefined) delivered.inputBits.set(name, bits);
        if (zeroPoint !== undefined) delivered.zeroPoints.set(name, zeroPoint);
      },
      inputGrid: (name, grid) => void delivered.inputGrids.set(name, grid),
      windowDone: () => {},
    },
    results: {
      readLinear: (name) => delivered.weights.get(name) as QuantizedWeight,
      readPlain: (name) => delivered.plain.get(name) ?? null,
      activationOf: (name) => delivered.activations.get(name) ?? null,
      zeroPointOf: (name) => delivered.zeroPoints.get(name) ?? null,
      inputGridOf: (name) => delivered.inputGrids.get(name) ?? null,
    },
    ...more,
  };
  return { job, delivered };
}
