import { afterAll, beforeAll, expect } from "vitest";
import { Checkpoint } from "../../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../../checkpoint/model-config.js";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import { weightHash } from "../../../format/bits/weight-hash.js";
import { compressedTensors } from "../../../format/compressed-tensors/write.js";
import { DecoderNetwork, type DecoderSpec, readSpec } from "../../../network/index.js";
import { deeperModel, tinyModel, writeTinyModel } from "../../../network/testing/tiny-models.js";
import { parseScheme } from "../../../quant/scheme.js";
import { stagesOf, stageWindows } from "../../../recipe/end-to-end/stages.js";
import type { RecipeSink } from "../../../recipe/job/recipe-job.js";
import { type RecipeName, recipeOf } from "../../../recipe/job/recipe-names.js";
import { runRecipe } from "../../../recipe/job/run-recipe.js";
import type { RecipeOptionsInput } from "../../../recipe/options/recipe-options.js";
import { resolveRecipeOptions } from "../../../recipe/options/resolve-recipe-options.js";
import { manualSeed, scope, Tensor } from "../../../tensor/index.js";
import { Journal, type JournalOptions } from "../journal.js";

const BLOCKS = 4;
const CONTEXT = 16;
const SEQUENCES = 6;
// Of the file of tests that runs: one network, made before its tests and removed behind them.
let model: ReturnType<typeof temporaryFolder>;
let checkpoint: Checkpoint;
let spec: DecoderSpec;
let ids: Int32Array;

/**
 * Gives the tests of a file, which calls this first, a tiny network of four blocks with random weights and a few outlier channels,
 * so that folding has work.
 */
export function useTinyModel(): void {
  beforeAll(async () => {
    model = temporaryFolder();
    manualSeed(5);
    await writeTinyModel(model.path, deeperModel(tinyModel("llama"), BLOCKS), (name, values, shape) => {
      if (name.includes("norm")) values[3] = 9;
      else scope(() => values.set(Tensor.randn([values.length]).mul(0.25).toFloat32Array()));
      return shape;
    });
    checkpoint = await Checkpoint.open(model.path);
    spec = readSpec(await readModelConfig(model.path));
    ids = Int32Array.from({ length: CONTEXT * SEQUENCES }, (_, i) => (i * i * 7 + i * 3 + 1) % spec.vocabSize);
  });

  afterAll(() => {
    checkpoint.close();
    model[Symbol.dispose]();
  });
}

/** What is run. */
export interface Case {
  readonly recipe: RecipeName;
  readonly scheme: string;
  readonly options: RecipeOptionsInput;
  readonly text: boolean;
}

export const quick = { epochs: 1, batch: 3 } as const;
export const cbq: Case = { recipe: "cbq", scheme: "W3A16g8", options: { window: quick, finish: "none" }, text: true };

/** Windows of the whole run. */
export function windowsOf({ recipe, options, text }: Case): number {
  const parsed = resolveRecipeOptions(options, { recipe });
  return recipeOf(recipe).windows(BLOCKS, parsed).length + stageWindows(stagesOf(recipeOf(recipe), parsed, text));
}

/** Saves after every window, also where a busy disk takes longer than a run would wait for. */
const always = { isDue: true, time: <T>(save: () => T): T => save() };

/** A journal in `folder` that adds what it warns of to `warnings`. */
export async function open(
  folder: string,
  of: Case,
  warnings: string[] = [],
  more: Pick<JournalOptions, "pace"> = {},
): Promise<Journal> {
  return Journal.open({
    pace: always,
    ...more,
    folder,
    identity: { recipe: of.recipe, scheme: of.scheme },
    windows: () => windowsOf(of),
    choose: () => ({ microBatch: 2, threads: 1, finish: "none" }),
    warn: ({ where, message }) => void warnings.push(`${where} ${message}`),
    poll: () => {},
  });
}

/** Runs until `windows` windows are done in this process, as if it were killed then. */
export function run(journal: Journal, of: Case, windows = Number.POSITIVE_INFINITY): void {
  let left = windows;
  const sink: RecipeSink = {
    linear: (name, weight) => journal.linear(name, weight),
    plain: (name, bytes) => journal.plain(name, bytes),
    rescaled: (name, scales) => journal.rescaled(name, scales),
    activation: (name, value) => journal.activation(name, value),
    windowDone: (done, state, microBatch) => {
      journal.windowDone(done, state, microBatch);
      if (--left === 0) throw new RangeError("killed");
    },
  };
  const options = resolveRecipeOptions(of.options, of);
  const job = {
    checkpoint,
    network: new DecoderNetwork(spec),
    recipe: recipeOf(of.recipe),
    scheme: parseScheme(of.scheme),
    options: { ...options, window: { ...options.window, microBatch: journal.chosen.microBatch } },
    seed: 3,
    tokens: of.text ? { ids, sequences: SEQUENCES, context: CONTEXT } : null,
    device: "cpu",
    dtype: "float32",
    gradients: "full",
    storage: "host",
    scratch: model.path,
    resume: journal.resume,
    results: journal.finished,
    poll: () => {},
    sink,
  } as const;
  try {
    for (const _ of runRecipe(job));
  } catch (error) {
    if (!(error instanceof RangeError && error.message === "killed")) throw error;
  }
}

/** Everything that reaches the files. */
export async function result(journal: Journal): Promise<object> {
  const source = journal.finished.exportSource(checkpoint, { name: "tiny", config: {}, activations: null });
  const linears = await Promise.all(
    [...source.linears.keys()].map(async (name) => [name, await source.readQuantized(name)]),
  );
  const plain = await Promise.all([...source.plain.keys()].map(async (name) => [name, await source.readPlain(name)]));
  for (const name of source.linears.keys()) {
    expect(journal.finished.hashOf(name)).toEqual(weightHash(await source.readQuantized(name)));
  }
  const packed = compressedTensors(source);
  const unpacked = compressedTensors({ ...source, readPacked: undefined });
  for (const [i, tensor] of packed.entries()) {
    expect(Buffer.compare(await tensor.bytes(), (await unpacked[i]?.bytes()) ?? new Uint8Array())).toBe(0);
  }
  const layers = journal.finished.done.map(({ window, layers }) => ({ window, layers }));
  return { linears, plain, layers, activations: [...journal.finished.activations], changed: journal.finished.changed };
}

/** What a run gives that nothing interrupts. */
export async function whole(of: Case): Promise<object> {
  using folder = temporaryFolder();
  using journal = await open(folder.path, of);
  run(journal, of);
  return await result(journal);
}
