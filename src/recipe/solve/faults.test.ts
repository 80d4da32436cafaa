import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { type Addon, addon } from "../../tensor/engine/addon.js";
import { liveHandles, TensorError } from "../../tensor/index.js";
import type { RecipeEvent } from "../job/recipe-job.js";
import type { RecipeName } from "../job/recipe-names.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import { type TinyNetwork, tinyJob, tinyNetwork, tinyTokens } from "../testing/tiny-run.js";

const SEQUENCES = 12;

interface Outcome {
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
  readonly plain: ReadonlyMap<string, Uint8Array>;
  readonly events: readonly RecipeEvent[];
  readonly warnings: readonly string[];
}

function run(
  network: TinyNetwork,
  recipe: RecipeName,
  options: RecipeOptionsInput,
  heard: RecipeEvent[] = [],
): Outcome {
  const { job, delivered } = tinyJob(network, recipe, "W3A16g8", options, {
    tokens: tinyTokens(network.spec, SEQUENCES),
    results: null,
  });
  for (const event of runRecipe(job)) heard.push(event);
  return { weights: delivered.weights, plain: delivered.plain, events: heard, warnings: warningsIn(heard) };
}

function warningsIn(events: readonly RecipeEvent[]): string[] {
  return events.flatMap((event) => (event.event === "warning" ? [`${event.where}: ${event.message}`] : []));
}

const native: Addon = addon();
const original = { ...native };
let model: TinyNetwork;
beforeAll(async () => {
  model = await tinyNetwork(3, () => 1);
});
afterAll(() => model[Symbol.dispose]());
afterEach(() => void Object.assign(native, original));

/** The engine's memory holds attention of so many sequences, and no more. */
function limitMemory(sequences: number): void {
  native.callOperator = (id, positional, keywords, discard) => {
    for (const value of positional) {
      const shape = typeof value === "number" && value > 2 ** 20 ? original.describe(value).shape : [];
      if (shape.length === 4 && (shape[0] as number) > sequences) {
        throw Object.assign(new Error("CUDA out of memory. Tried to allocate 20 MiB"), { code: "OUT_OF_MEMORY" });
      }
    }
    return original.callOperator(id, positional, keywords, discard);
  };
}

/** The loss of these steps, counted from 0 over all windows, is NaN. */
function poisonSteps(isPoisoned: (step: number) => boolean): void {
  const multiply = native.findOperator("aten::mul_", "Scalar")?.id ?? 0;
  let step = 0;
  native.backward = (outputs, gradients) => {
    // A step asks for a loss's gradients first, and carries them through the roundings then.
    if (gradients === null && isPoisoned(step++))
      original.callOperator(multiply, [outputs[0], Number.NaN], undefined, true);
    original.backward(outputs, gradients);
  };
}

const options = (microBatch: number): RecipeOptionsInput => ({ window: { epochs: 4, batch: 6, microBatch } });

function expectSound({ weights }: Outcome): void {
  expect(weights.size).toBe(model.spec.blocks.length * 7);
  for (const { scales } of weights.values()) expect(scales.every((scale) => Number.isFinite(scale))).toBe(true);
}

describe("memory that runs out", () => {
  it.each([
    ["cbq from GPTQ's codes", "cbq", { start: "gptq" }],
    ["cbq from round to nearest", "cbq", { start: "rtn" }],
    ["gptq", "gptq", {}],
  ] as const)("halves what is there at once and repeats what failed: %s", (_name, recipe, rounding) => {
    const expected = run(model, recipe, { ...options(2), rounding });
    const live = liveHandles();
    limitMemory(2);
    const constrained = run(model, recipe, { ...options(6), rounding });
    expect(constrained.weights).toEqual(expected.weights);
    expect(constrained.warnings).toEqual([
      "device cpu: memory ran out: 3 sequences at once from now on, and what failed is done again",
      "device cpu: memory ran out: 2 sequences at once from now on, and what failed is done again",
    ]);
    expect(liveHandles()).toBe(live);
  });

  it.each(["cbq", "gptq"] as const)(
    "is an error when not even one sequence fits, and says what was tried: %s",
    (recipe) => {
      const live = liveHandles();
      const heard: RecipeEvent[] = [];
      limitMemory(0);
      expect(() => run(model, recipe, options(6), heard)).toThrow(TensorError);
      expect(warningsIn(heard)).toEqual(
        [3, 2, 1].map((size) => expect.stringContaining(`memory ran out: ${size} sequence`) as unknown),
      );
      expect(liveHandles()).toBe(live);
    },
  );
});

describe("a loss that is not finite", () => {
  it("skips the step", () => {
    poisonSteps((step) => step === 3);
    const outcome = run(model, "cbq", options(6));
    expect(outcome.warnings).toEqual([
      expect.stringMatching("window 1: loss or gradient of step 4 of 8 is not finite: the step is skipped"),
    ]);
    expectSound(outcome);
    for (const event of outcome.events) {
      if (event.event === "window-done") expect(event.lossAfter?.total).toBeLessThan(event.lossBefore?.total ?? 0);
    }
  });

  it("three times in a row puts the best state back and lowers the rates", () => {
    poisonSteps((step) => step >= 4 && step <= 6);
    const outcome = run(model, "cbq", options(6));
    expect(outcome.warnings.map((warning) => /skipped|back to the best state/.exec(warning)?.[0])).toEqual([
      "skipped",
      "skipped",
      "skipped",
      "back to the best state",
    ]);
    expectSound(outcome);
  });

  it("always makes GPTQ choose the codes, window by window", () => {
    const live = liveHandles();
    poisonSteps(() => true);
    const outcome = run(model, "cbq", { window: { epochs: 6, batch: 3 } });
    expect(outcome.warnings.filter((warning) => warning.includes("from GPTQ")).length).toBe(2);
    expectSound(outcome);
    const gptq = run(model, "gptq", {});
    const first = "model.layers.0.self_attn.q_proj";
    expect(outcome.weights.get(first)).toEqual(gptq.weights.get(first));
    expect(liveHandles()).toBe(live);
  });
});

describe("training that makes a window far worse", () => {
  const noFinish = { finish: "none" } as const;
  it.each([
    [
      "efficient-qat",
      { blockAp: { weightRate: 1e9, epochs: 2, batch: 6 }, ...noFinish },
      /its Linears get their codes from GPTQ/,
    ],
    ["slim", { slim: { clipping: "learnt", rate: 1e9, epochs: 1, batch: 6 } }, /its ranges stay as they began/],
    ["norm-tweaking", { normTweaking: { rate: 10, epochs: 2 } }, /its norms stay as they were/],
  ] as const)("is not taken, and says so: %s", (recipe, given, becomes) => {
    const live = liveHandles();
    const outcome = run(model, recipe, given);
    const blocks = model.spec.blocks.length;
    expect(outcome.warnings.filter((warning) => warning.includes("ten times the loss")).length).toBe(blocks);
    for (const warning of outcome.warnings) if (warning.includes("ten times")) expect(warning).toMatch(becomes);
    expectSound(outcome);
    const first = "model.layers.0.self_attn.q_proj";
    expect(outcome.weights.get(first)).toEqual(run(model, recipe === "slim" ? "slim" : "gptq", {}).weights.get(first));
    expect(liveHandles()).toBe(live);
  });
});

describe("transforms whose training never becomes finite", () => {
  it("are left as they began, and GPTQ chooses the codes behind them", () => {
    const live = liveHandles();
    poisonSteps(() => true);
    const outcome = run(model, "affine-quant", { affine: { epochs: 6, batch: 3 } });
    expect(outcome.warnings.filter((warning) => warning.includes("from GPTQ")).length).toBe(model.spec.blocks.length);
    expectSound(outcome);
    Object.assign(native, original);
    const untrained = run(model, "affine-quant", { affine: { epochs: 0 } });
    expect(outcome.plain.get("model.layers.0.input_layernorm.weight")).toEqual(
      untrained.plain.get("model.layers.0.input_layernorm.weight"),
    );
    expect(liveHandles()).toBe(live);
  });
});

describe("a layer whose values overflow", () => {
  it.each(["gptq", "cbq"] as const)("is rounded to nearest, and says so: %s", async (recipe) => {
    const live = liveHandles();
    {
      using overflowing = await tinyNetwork(3, (norm) => (norm.includes("layers.1.post_attention") ? 1e20 : 1));
      const outcome = run(overflowing, recipe, options(6));
      expectSound(outcome);
      expect(outcome.warnings).toContainEqual(
        expect.stringMatching(
          /layers\.1\.mlp\.gate_proj: GPTQ finds no finite codes: the weight is rounded to nearest/,
        ),
      );
    }
    expect(liveHandles()).toBe(live);
  });
});
