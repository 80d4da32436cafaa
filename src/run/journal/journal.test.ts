import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { InputError } from "../../errors.js";
import { weightHash } from "../../format/bits/weight-hash.js";
import { compressedTensors } from "../../format/compressed-tensors/write.js";
import { DecoderNetwork, type DecoderSpec, readSpec } from "../../network/index.js";
import { deeperModel, tinyModel, writeTinyModel } from "../../network/testing/tiny-models.js";
import { parseScheme } from "../../quant/scheme.js";
import { finishEpochs } from "../../recipe/end-to-end/windows.js";
import type { RecipeSink } from "../../recipe/job/recipe-job.js";
import { type RecipeName, recipeOf } from "../../recipe/job/recipe-names.js";
import { runRecipe } from "../../recipe/job/run-recipe.js";
import type { RecipeOptionsInput } from "../../recipe/options/recipe-options.js";
import { resolveRecipeOptions } from "../../recipe/options/resolve-recipe-options.js";
import { liveHandles, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { Journal, type JournalOptions } from "./journal.js";

const BLOCKS = 4;
const CONTEXT = 16;
const SEQUENCES = 6;
const model = temporaryFolder();
let checkpoint: Checkpoint;
let spec: DecoderSpec;
let ids: Int32Array;

// A tiny network of four blocks with random weights and a few outlier channels, so that folding has work.
beforeAll(async () => {
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

interface Case {
  readonly recipe: RecipeName;
  readonly scheme: string;
  readonly options: RecipeOptionsInput;
  readonly text: boolean;
}

const quick = { epochs: 1, batch: 3 } as const;
const cbq: Case = { recipe: "cbq", scheme: "W3A16g8", options: { window: quick, finish: "none" }, text: true };
const scales = { finish: "scales", endToEnd: { epochs: 3, batch: 4 } } as const;
const cases: readonly (readonly [string, Case])[] = [
  ["rtn", { recipe: "rtn", scheme: "W3A16g8", options: {}, text: false }],
  [
    "rtn with static inputs",
    { recipe: "rtn", scheme: "W4A8", options: { activation: { granularity: "tensor" } }, text: true },
  ],
  ["gptq", { recipe: "gptq", scheme: "W3A16g8", options: {}, text: true }],
  ["gptq, then all scales", { recipe: "gptq", scheme: "W3A16g8", options: scales, text: true }],
  ["norm-tweaking", { recipe: "norm-tweaking", scheme: "W3A16g8", options: {}, text: true }],
  [
    "efficient-qat, then all scales on the text",
    {
      recipe: "efficient-qat",
      scheme: "W3A16g8",
      options: { ...scales, endToEnd: { ...scales.endToEnd, loss: "next-token" }, blockAp: { epochs: 1 } },
      text: true,
    },
  ],
  ["cbq", cbq],
  [
    "cbq with CFP, then all scales and clips",
    { ...cbq, scheme: "W4A4g8", options: { ...scales, window: quick, cfp: { activations: true } } },
  ],
  [
    "cbq from gptq's codes, both branches",
    { ...cbq, options: { window: { ...quick, secondBranch: true }, finish: "none", rounding: { start: "gptq" } } },
  ],
  ["cbq with LoRA", { ...cbq, options: { window: quick, finish: "none", rounding: { kind: "lora" } } }],
  [
    "cbq with CFP and learnt clips, windows of 3",
    {
      ...cbq,
      scheme: "W4A4g8",
      options: { window: { ...quick, size: 3, overlap: 2 }, finish: "none", cfp: { weights: true, activations: true } },
    },
  ],
];

function windowsOf({ recipe, options, text }: Case): number {
  const parsed = resolveRecipeOptions(options, { recipe });
  return recipeOf(recipe).windows(BLOCKS, parsed).length + finishEpochs(recipeOf(recipe), parsed, text);
}

/** Saves after every window, also where a busy disk takes longer than a run would wait for. */
const always = { isDue: true, time: <T>(save: () => T): T => save() };

async function open(
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
function run(journal: Journal, of: Case, windows = Number.POSITIVE_INFINITY): void {
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
    results: journal,
    poll: () => {},
    sink,
  } as const;
  try {
    for (const _ of runRecipe(job));
  } catch (error) {
    if (!(error instanceof RangeError && error.message === "killed")) throw error;
  }
}

/** Windows that lie in a work directory. */
function windowsIn(folder: string): number {
  return readdirSync(folder).filter((file) => /^window-.*\.safetensors$/.test(file)).length;
}

/** Everything that reaches the files. */
async function result(journal: Journal): Promise<object> {
  const source = journal.exportSource(checkpoint, { name: "tiny", config: {}, activations: null });
  const linears = await Promise.all(
    [...source.linears.keys()].map(async (name) => [name, await source.readQuantized(name)]),
  );
  const plain = await Promise.all([...source.plain.keys()].map(async (name) => [name, await source.readPlain(name)]));
  for (const name of source.linears.keys()) {
    expect(journal.hashOf(name)).toEqual(weightHash(await source.readQuantized(name)));
  }
  const packed = compressedTensors(source);
  const unpacked = compressedTensors({ ...source, readPacked: undefined });
  for (const [i, tensor] of packed.entries()) {
    expect(Buffer.compare(await tensor.bytes(), (await unpacked[i]?.bytes()) ?? new Uint8Array())).toBe(0);
  }
  const layers = journal.windowsDone.map(({ window, layers }) => ({ window, layers }));
  return { linears, plain, layers, activations: [...journal.activations], changed: journal.changed };
}

async function whole(of: Case): Promise<object> {
  using folder = temporaryFolder();
  using journal = await open(folder.path, of);
  run(journal, of);
  return await result(journal);
}

describe("a run that was killed and continued", () => {
  it.each(cases)("gives the same bits as one that was not: %s", async (_name, of) => {
    const live = liveHandles();
    const expected = await whole(of);
    for (const windows of of.recipe === "cbq" ? [1, windowsOf(of) - 1] : [2]) {
      using folder = temporaryFolder();
      {
        using journal = await open(folder.path, of);
        expect(journal.resume.window).toBe(0);
        run(journal, of, windows);
      }
      const warnings: string[] = [];
      using journal = await open(folder.path, of, warnings);
      expect(journal.resume.window).toBe(windows);
      run(journal, of);
      expect(await result(journal)).toEqual(expected);
      expect(warnings).toEqual([]);
    }
    expect(liveHandles()).toBe(live);
  });

  it("goes on with as many sequences at once as were left when memory ran out", async () => {
    using folder = temporaryFolder();
    {
      using journal = await open(folder.path, cbq);
      run(journal, cbq, 1);
      expect(journal.chosen.microBatch).toBe(2);
      const [first] = journal.windowsDone;
      if (first !== undefined) journal.windowDone({ ...first, window: 1 }, [], 1);
    }
    using journal = await open(folder.path, cbq);
    expect(journal.chosen).toEqual({ microBatch: 1, threads: 1, finish: "none" });
  });

  it.skipIf(process.platform !== "linux")("keeps no file open for a finished window", async () => {
    using folder = temporaryFolder();
    using journal = await open(folder.path, cbq);
    const before = readdirSync("/proc/self/fd").length;
    run(journal, cbq);
    await result(journal);
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });

  it("goes on from any window, one window a process", async () => {
    const expected = await whole(cbq);
    using folder = temporaryFolder();
    for (let window = 0; window < windowsOf(cbq); window++) {
      using journal = await open(folder.path, cbq);
      expect(journal.resume.window).toBe(window);
      run(journal, cbq, 1);
    }
    using journal = await open(folder.path, cbq);
    expect(journal.isComplete).toBe(true);
    expect(await result(journal)).toEqual(expected);
  });

  it("goes on after the last state that was saved, and does later windows again", async () => {
    const expected = await whole(cbq);
    using folder = temporaryFolder();
    let asked = 0;
    const pace = {
      get isDue() {
        return asked++ === 0;
      },
      time: <T>(save: () => T): T => save(),
    };
    {
      using journal = await open(folder.path, cbq, [], { pace });
      run(journal, cbq, 2);
      expect(asked).toBe(2);
      // The second window is handed over, and written when there is time.
      expect(windowsIn(folder.path)).toBe(1);
      journal.meanwhile(0);
      expect(windowsIn(folder.path)).toBe(1);
      journal.meanwhile(Number.POSITIVE_INFINITY);
      expect(windowsIn(folder.path)).toBe(2);
    }
    const warnings: string[] = [];
    using journal = await open(folder.path, cbq, warnings);
    expect(journal.resume.window).toBe(1);
    expect(warnings).toEqual([]);
    expect(windowsIn(folder.path)).toBe(1);
    run(journal, cbq);
    expect(await result(journal)).toEqual(expected);
  });
});

describe("a state that is saved", () => {
  it("brings the windows before it to the disk, or fails with the place", async () => {
    using folder = temporaryFolder();
    let due = false;
    const pace = {
      get isDue() {
        return due;
      },
      time: <T>(save: () => T): T => save(),
    };
    using journal = await open(folder.path, cbq, [], { pace });
    run(journal, cbq, 1);
    journal.meanwhile(Number.POSITIVE_INFINITY);
    const [done] = journal.windowsDone;
    const window = readdirSync(folder.path).find((file) => file.startsWith("window-00000")) ?? "";
    rmSync(join(folder.path, window));
    due = true;
    const state = { name: "stream", dtype: "float32", shape: [1], pieces: () => [new Uint8Array(4)] } as const;
    expect(() => done !== undefined && journal.windowDone({ ...done, window: 1 }, [state], 1)).toThrow(
      new RegExp(`${window}.*Next: `),
    );
  });
});

describe("damage", () => {
  const folder = temporaryFolder();
  let expected: object;
  beforeAll(async () => {
    expected = await whole(cbq);
    using journal = await open(folder.path, cbq);
    run(journal, cbq, 2);
  });
  afterAll(() => folder[Symbol.dispose]());

  const damages: readonly (readonly [string, prefix: string, resumes: number, (path: string) => void])[] = [
    ["a flipped bit in the last window", "window-00001", 1, flip],
    ["a flipped bit in the first window", "window-00000", 0, flip],
    ["a truncated state", "state-00002", 1, (path) => truncateSync(path, 900)],
    ["a state that vanished", "state-00002", 1, (path) => rmSync(path)],
    ["a damaged manifest", "manifest.json", 0, flip],
    ["an empty manifest", "manifest.json", 0, (path) => truncateSync(path)],
  ];

  it.each(damages)(
    "%s is discarded with a warning, and its window done again",
    async (_name, prefix, resumes, damage) => {
      using copy = temporaryFolder();
      cpSync(folder.path, copy.path, { recursive: true });
      const file = readdirSync(copy.path).find((name) => name.startsWith(prefix)) ?? "";
      damage(join(copy.path, file));
      const warnings: string[] = [];
      using journal = await open(copy.path, cbq, warnings);
      expect(journal.resume.window).toBe(resumes);
      expect(warnings).toEqual([expect.stringMatching(`${prefix}.*(done again|nothing of the run)`)]);
      run(journal, cbq);
      expect(await result(journal)).toEqual(expected);
    },
  );

  it("a folder of another run is refused, with what changed and both ways out", async () => {
    const before = readdirSync(folder.path);
    const error = await open(folder.path, { ...cbq, scheme: "W2A16g8" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).why).toBe("changed: scheme W3A16g8 -> W2A16g8");
    expect((error as InputError).next).toMatch(/--fresh.*--work/);
    expect(readdirSync(folder.path)).toEqual(before);
  });

  it("a folder in another format is refused, and nothing of it is removed", async () => {
    using copy = temporaryFolder();
    cpSync(folder.path, copy.path, { recursive: true });
    const path = join(copy.path, "manifest.json");
    const body = { ...(JSON.parse(readFileSync(path, "utf8")) as { body: object }).body, format: 1 };
    const sha256 = createHash("sha256").update(JSON.stringify(body)).digest("hex");
    writeFileSync(path, JSON.stringify({ sha256, body }));
    const before = readdirSync(copy.path);
    const error = await open(copy.path, cbq).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).next).toMatch(/version that began it.*--fresh.*--work/);
    expect(readdirSync(copy.path)).toEqual(before);
  });

  it("what a killed process was writing is removed", async () => {
    using copy = temporaryFolder();
    cpSync(folder.path, copy.path, { recursive: true });
    const orphan = `window-00002.${"0".repeat(16)}.safetensors`;
    writeFileSync(join(copy.path, orphan), "half");
    using journal = await open(copy.path, cbq);
    expect(journal.resume.window).toBe(2);
    expect(readdirSync(copy.path)).not.toContain(orphan);
  });
});

function flip(path: string): void {
  const bytes = readFileSync(path);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}
