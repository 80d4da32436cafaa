import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { liveHandles } from "../../tensor/index.js";
import type { RecipeEvent, WindowDoneEvent } from "../job/recipe-job.js";
import type { RecipeName } from "../job/recipe-names.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import { type Delivered, type TinyNetwork, tinyJob, tinyNetwork } from "../testing/tiny-run.js";

let network: TinyNetwork;
beforeAll(async () => {
  network = await tinyNetwork(2);
});
afterAll(() => network[Symbol.dispose]());

interface Outcome extends Delivered {
  readonly events: readonly RecipeEvent[];
  readonly windows: readonly WindowDoneEvent[];
}

function run(recipe: RecipeName, scheme: string, options: RecipeOptionsInput): Outcome {
  const live = liveHandles();
  const { job, delivered } = tinyJob(network, recipe, scheme, options);
  const events = [...runRecipe(job)];
  expect(liveHandles()).toBe(live);
  return { ...delivered, events, windows: events.filter((event) => event.event === "window-done") };
}

describe("Block-AP", () => {
  const ap = (blockAp: RecipeOptionsInput["blockAp"]): RecipeOptionsInput => ({ finish: "none", blockAp });

  it("lowers every block's error, and hands over trained norms", () => {
    const { windows, plain, weights } = run("efficient-qat", "W2A16g8", ap({ epochs: 6 }));
    expect(windows.length).toBe(network.spec.blocks.length);
    for (const { lossBefore, lossAfter } of windows) {
      expect(lossAfter?.total).toBeLessThan(0.9 * (lossBefore?.total ?? 0));
    }
    expect(weights.size).toBe(7 * network.spec.blocks.length);
    expect([...plain.keys()].sort()).toEqual([
      "model.layers.0.input_layernorm.weight",
      "model.layers.0.post_attention_layernorm.weight",
      "model.layers.1.input_layernorm.weight",
      "model.layers.1.post_attention_layernorm.weight",
    ]);
  });

  it("trains more with the weights than with scales and zero points alone", () => {
    const lossAfter = (train: "weights" | "scales"): number =>
      run("efficient-qat", "W2A16g8", ap({ epochs: 6, train, norms: false })).windows[0]?.lossAfter?.total ?? 0;
    expect(lossAfter("weights")).toBeLessThan(lossAfter("scales"));
  });

  it("with next to no rate for the weights is training of scales and zero points, bit for bit", () => {
    const options = { epochs: 2, norms: false } as const;
    const scales = run("efficient-qat", "W3A16g8", ap({ ...options, train: "scales" }));
    const still = run("efficient-qat", "W3A16g8", ap({ ...options, weightRate: 1e-30 }));
    expect(still.weights).toEqual(scales.weights);
  });

  it("is followed by scales that learn from the text or from the network", () => {
    for (const loss of ["next-token", "divergence"] as const) {
      const options = { endToEnd: { epochs: 2, batch: 3, loss }, blockAp: { epochs: 1 } };
      const last = run("efficient-qat", "W2A16g8", options).windows.at(-1);
      expect(last?.lossAfter?.total).toBeLessThan(last?.lossBefore?.total ?? 0);
    }
  });
});

describe("Norm Tweaking", () => {
  it("leaves GPTQ's codes as they are, and brings the moments of channels nearer", () => {
    const gptq = run("gptq", "W2A16g8", {});
    const tweaked = run("norm-tweaking", "W2A16g8", { normTweaking: { rate: 1e-2 } });
    const first = (name: string): boolean => name.startsWith("model.layers.0.");
    const codes = ({ weights }: Delivered): unknown => [...weights].filter(([name]) => first(name));
    expect(codes(tweaked)).toEqual(codes(gptq));
    // The second block's input is another one by then.
    expect(tweaked.weights).not.toEqual(gptq.weights);
    expect(tweaked.plain.size).toBe(2 * network.spec.blocks.length);
    const still = run("norm-tweaking", "W2A16g8", { normTweaking: { rate: 1e-30 } });
    expect(tweaked.windows[0]?.lossAfter?.total).toBeLessThan(still.windows[0]?.lossAfter?.total ?? 0);
  });

  it("changes nothing where nothing is quantized", () => {
    const { plain, weights } = run("norm-tweaking", "W4A16g8", { overrides: [{ pattern: "*", skip: true }] });
    expect([plain.size, weights.size]).toEqual([0, 0]);
  });

  it("has no loss and moves no norm where the codes hold every weight exactly", async () => {
    // Four bits: -8 to 7 steps of 1/32, and -8 in every group of eight.
    using exact = await tinyNetwork(2, undefined, (values) => {
      values.forEach((_, i) => {
        values[i] = (i % 8 === 0 ? -8 : ((i * 5 + (i >> 3)) % 16) - 8) / 32;
      });
    });
    // One sequence at once, in passes as in steps: sums are rounded alike. Adam would follow the least difference.
    const options = { normTweaking: { rate: 0.1 }, window: { microBatch: 1 } };
    const { job, delivered } = tinyJob(exact, "norm-tweaking", "W4A16g8", options);
    const windows = [...runRecipe(job)].filter((event) => event.event === "window-done");
    expect(windows.map(({ lossBefore, lossAfter }) => [lossBefore, lossAfter?.total])).toEqual([
      [null, 0],
      [null, 0],
    ]);
    expect(delivered.plain.size).toBeGreaterThan(0);
    for (const [name, bytes] of delivered.plain) {
      expect([name, Buffer.compare(bytes, exact.checkpoint.readRangeSync(name, 0, bytes.length))]).toEqual([name, 0]);
    }
  });

  it("raises its rate from block to block where it is asked to", () => {
    const norms = (growth: number): Uint8Array | undefined =>
      run("norm-tweaking", "W2A16g8", { normTweaking: { growth } }).plain.get("model.layers.1.input_layernorm.weight");
    const [flat, growing] = [norms(0), norms(9)];
    expect(growing).not.toEqual(flat);
  });
});
