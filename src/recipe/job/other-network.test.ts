import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { writeSafetensors } from "../../checkpoint/safetensors/write-safetensors.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { skipIds, skipNetwork, skipTensors } from "../../network/testing/skip-network.js";
import { liveHandles, manualSeed, scope, Tensor } from "../../tensor/index.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import type { RecipeState } from "../state/saved-state.js";
import { type Delivered, tinyJob } from "../testing/tiny-run.js";
import type { RecipeJob, WindowDoneEvent } from "./recipe-job.js";
import type { RecipeName } from "./recipe-names.js";
import { runRecipe } from "./run-recipe.js";

const [SEQUENCES, CONTEXT] = [6, 8];
const folder = temporaryFolder();
let checkpoint: Checkpoint;

beforeAll(async () => {
  manualSeed(3);
  const tensors = [...skipTensors].map(([name, shape]) => {
    const values = scope(() =>
      (shape.length === 1 ? Tensor.ones(shape) : Tensor.randn(shape).mul(0.3)).toFloat32Array(),
    );
    const bytes = new Uint8Array(values.slice().buffer);
    return { name, dtype: "F32", shape, byteLength: bytes.byteLength, bytes: () => bytes } as const;
  });
  await writeSafetensors(folder.path, tensors);
  checkpoint = await Checkpoint.open(folder.path);
});
afterAll(() => {
  checkpoint.close();
  folder[Symbol.dispose]();
});

function jobOf(recipe: RecipeName, options: RecipeOptionsInput, more: Partial<RecipeJob> = {}): Run {
  const tokens = { ids: skipIds(SEQUENCES, CONTEXT), sequences: SEQUENCES, context: CONTEXT };
  const network = { checkpoint, network: skipNetwork, folder: folder.path };
  return tinyJob(network, recipe, "W3A16g8", options, { tokens, ...more });
}

interface Run {
  readonly job: RecipeJob;
  readonly delivered: Delivered;
}

function windowsOf({ job }: Run): WindowDoneEvent[] {
  return [...runRecipe(job)].filter((event) => event.event === "window-done");
}

const linears = ["0.up", "0.down", "1.time", "1.middle", "2.merge"];
const trained = { epochs: 8, batch: 2 } as const;
const windows = { size: 2, overlap: 1, secondBranch: true, ...trained } as const;

describe("a network that is no decoder: units of several shapes, with a skip connection and a time embedding", () => {
  it.each<readonly [RecipeName, RecipeOptionsInput, number]>([
    ["rtn", { finish: "none" }, 0],
    ["gptq", { finish: "none" }, 0],
    ["gptq", { finish: "scales", endToEnd: { epochs: 3, batch: 2 } }, 3],
    ["cbq", { window: windows, rounding: { start: "gptq" }, finish: "none" }, 1],
    ["cbq", { window: windows, cfp: { activations: true, lambda1: 0.1 }, finish: "none" }, 1],
    ["efficient-qat", { blockAp: trained, finish: "none" }, 3],
    ["affine-quant", { affine: trained }, 1],
    ["boa", {}, 0],
    ["aespa", { aespa: { iterations: 20 } }, 0],
    ["brecq", { brecq: { epochs: 20, batch: 4 } }, 1],
    ["norm-tweaking", { normTweaking: { ...trained, rate: 5e-3 } }, 0],
  ])("is quantized by every recipe, and what is trained loses less: %s %o", (recipe, options, training) => {
    const live = liveHandles();
    const run = jobOf(recipe, options);
    const done = windowsOf(run);
    expect([...run.delivered.weights.keys()].sort()).toEqual([...linears].sort());
    const losses = done.filter(({ lossBefore }) => (lossBefore?.total ?? 0) > 0);
    const less = losses.filter(({ lossBefore, lossAfter }) => (lossAfter?.total ?? 0) < (lossBefore?.total ?? 0));
    expect(less.length).toBeGreaterThanOrEqual(training);
    if (recipe === "norm-tweaking") {
      const still = windowsOf(jobOf(recipe, { normTweaking: { ...trained, rate: 1e-30 } }));
      expect(done[0]?.lossAfter?.total).toBeLessThan(still[0]?.lossAfter?.total ?? 0);
    }
    expect(run.delivered.plain.has("0.norm.weight")).toBe(
      ["efficient-qat", "norm-tweaking", "aespa", "affine-quant"].includes(recipe) || "cfp" in options,
    );
    expect(liveHandles()).toBe(live);
  });

  it("is told apart by its ports in what is saved, and continues to the same bits", () => {
    const options = { window: windows, finish: "none" } as const;
    const whole = jobOf("cbq", options);
    windowsOf(whole);
    const first = jobOf("cbq", options);
    let saved = new Map<string, Uint8Array>();
    const running = runRecipe({
      ...first.job,
      sink: {
        ...first.job.sink,
        windowDone: (_event, state) => {
          saved = new Map(state.map(({ name, pieces }) => [name, Buffer.concat([...pieces()])]));
        },
      },
    });
    for (const event of running) if (event.event === "window-done") break;
    const streams = [...saved.keys()].filter((name) => name.startsWith("stream."));
    const names = ["full", "quantized"].flatMap((kind) =>
      ["x", "skip", "time"].map((port) => `stream.${kind}.${port}`),
    );
    expect(streams).toEqual(names);
    const resume: RecipeState = {
      window: 1,
      read: (name, begin, end) => (saved.get(name) as Uint8Array).subarray(begin, end),
    };
    const second = jobOf("cbq", options, { resume });
    windowsOf(second);
    expect(second.delivered.weights.size).toBeGreaterThan(0);
    for (const [name, weight] of second.delivered.weights) expect(weight).toEqual(whole.delivered.weights.get(name));
    expect(first.delivered.weights.size + second.delivered.weights.size).toBe(linears.length);
  });
});
