import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { readModelConfig } from "../../../checkpoint/model-config.js";
import { type DecoderSpec, decoderUnits, readSpec } from "../../../network/index.js";
import { stagesOf } from "../../../recipe/end-to-end/stages.js";
import { resolveSchemes } from "../../../recipe/job/layer-schemes.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import { resolveOptions, schemeOf, type UntypedOptions } from "../../options/options.js";
import { required } from "../../options/testing/refusal.js";
import { linearPlans } from "../linear-plans.js";
import { slowMachine } from "../testing/slow-machine.js";
import { type PlannedTime, planTime, windowTerms } from "./time-model.js";

const model = fileURLToPath(new URL("../../../../models/sotu-llama-7m", import.meta.url));
let spec: DecoderSpec;
beforeAll(async () => {
  spec = readSpec(await readModelConfig(model));
});

const block = 6291456 / 8;

function input(given: UntypedOptions): Parameters<typeof planTime>[0] {
  const options = { ...resolveOptions(required, { context: 512, samples: 16 }, given), context: 512 };
  const recipe = recipeOf(options.recipe);
  const linears = linearPlans(decoderUnits(spec), resolveSchemes(decoderUnits(spec), schemeOf(options), []));
  const windows = recipe.windows(spec.blocks.length, options);
  const stages = stagesOf(recipe, options, true);
  return { options, spec, linears, windows, stages, tokens: options.samples * 512, readBytes: 1e9, writtenBytes: 1e8 };
}

function planned(given: UntypedOptions): PlannedTime {
  return planTime(input(given), slowMachine);
}

describe("planTime", () => {
  it("counts a window's training by tokens, weights and epochs", () => {
    const given = input({ finish: "none", window: { epochs: 3 } });
    const terms = windowTerms(
      given,
      { ...slowMachine, perWeight: 1e-9 },
      { first: 1, last: 2, leaving: 1 },
      { first: 0, last: 1, leaving: 1 },
      true,
    );
    expect(terms.tokens).toBeCloseTo((3 * 16 * 512 * 2 * block * 6) / 1e11, 9);
    // Four steps of four sequences to an epoch.
    expect(terms.weights).toBeCloseTo(3 * 4 * 2 * block * 1e-9, 12);
    // One block is new and one leaves: the full-precision stream passes the one, that of the quantized network the other.
    expect(terms.advancing).toBeCloseTo((2 * 16 * 512 * block * 2) / 1e11, 9);
    expect(terms.attention).toBe(0);
  });

  it("gives every end-to-end epoch its own seconds, more to the first, which opens all blocks", () => {
    const { windows } = planned({ window: { epochs: 1 }, endToEnd: { epochs: 3 } });
    expect(windows.length).toBe(7 + 3);
    const [first = 0, second = 0, third = 0] = windows.slice(7);
    expect(first).toBeGreaterThan(second);
    expect(second).toBe(third);
    // Blocks forward twice and back, and the head.
    expect(second).toBeGreaterThan((16 * 512 * 8 * block * 8) / 1e11);
  });

  it("grows with text, passes and what a recipe does", () => {
    const total = (given: UntypedOptions): number => planned(given).windows.reduce((sum, each) => sum + each, 0);
    const least = total({ finish: "none", window: { epochs: 1 } });
    expect(total({ finish: "none", window: { epochs: 2 } })).toBeGreaterThan(1.3 * least);
    expect(total({ finish: "none", window: { epochs: 1 }, samples: 32 })).toBeGreaterThan(1.6 * least);
    expect(total({ finish: "scales", window: { epochs: 1 } })).toBeGreaterThan(1.5 * least);
    expect(total({ recipe: "gptq" })).toBeLessThan(least);
    expect(total({ recipe: "rtn" })).toBeLessThan(total({ recipe: "gptq" }));
  });

  it("counts what launching takes where there is little to compute", () => {
    const launching = { pass: 0.25, step: 1 };
    const given = input({ window: { epochs: 1 }, endToEnd: { epochs: 3 } });
    const onDevice = planTime(given, { ...slowMachine, flops: 1e15, forward: 1e-16, training: 1e-16, launching });
    // Four steps of four sequences through eight blocks to an epoch.
    const [, second = 0] = onDevice.windows.slice(7);
    expect(second).toBeGreaterThan(4 * 8 * 1.25);
    expect(second).toBeLessThan(4 * 8 * 1.25 + 8);
    // A window of two blocks: three steps of each, and passes that move streams on and measure.
    const [, window = 0] = onDevice.windows;
    expect(window).toBeGreaterThan(3 * 2 * 1);
    expect(window).toBeLessThan(3 * 2 * 1 + 40 * 0.25);
    // Where there is much to compute launching hides behind it.
    const computed = planTime(given, slowMachine).windows.at(-1);
    const both = planTime(given, { ...slowMachine, launching: { pass: 1e-6, step: 1e-6 } }).windows.at(-1);
    expect(both).toBe(computed);
  });

  it("counts columns that follow each other, once for all rows of a Linear and again for rows of heads that wait", () => {
    const machine = { ...slowMachine, choosingColumn: 1e-3 };
    const more = (given: UntypedOptions): number => {
      const [window = 0] = planTime(input(given), machine).windows;
      return window - (planTime(input(given), slowMachine).windows[0] ?? 0);
    };
    // The bundled model's.
    const { heads, kvHeads, headDim } = { heads: 8, kvHeads: 4, headDim: 32 };
    const columns = 3 * spec.hiddenSize + heads * headDim + 2 * spec.hiddenSize + 768;
    expect(more({ recipe: "gptq" })).toBeCloseTo(columns * 1e-3, 9);
    // 16 rows at a time; the values of each head have columns of their own.
    const turns = headDim / 16;
    const solves = 2 * turns + turns * kvHeads - 3;
    expect(more({ recipe: "boa" })).toBeCloseTo((columns + solves * spec.hiddenSize) * 1e-3, 9);
    expect(more({ recipe: "aespa", aespa: { start: "gptq" } })).toBeCloseTo(columns * 1e-3, 9);
  });

  it("counts steps on a quadratic by their number, weights and products", () => {
    const taken = (iterations: number): number =>
      planTime(input({ recipe: "aespa", aespa: { iterations } }), {
        ...slowMachine,
        quadratic: { weight: 1e-9, step: 1e-3 },
      }).windows[0] ?? 0;
    const products = spec.hiddenSize ** 3;
    expect(taken(200) - taken(100)).toBeGreaterThan(100 * (block * 1e-9 + 7 * 1e-3 + (2 * products) / 1e11));
  });

  it("counts what is read and written outside of windows", () => {
    const { before, after } = planned({});
    expect(before).toBeGreaterThan(1);
    expect(after).toBeGreaterThan(0.5);
  });
});
