import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { exportResult } from "../../src/api/export-result.js";
import { evaluate } from "../../src/api/model.js";
import { type QuantizeOptions, quantize } from "../../src/api/quantize.js";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import { optionText } from "../../src/cli/help/option-text.js";
import { settingsHelp } from "../../src/cli/help/settings-help.js";
import { formatPlan } from "../../src/cli/plan-text.js";
import { OptionError } from "../../src/errors.js";
import { openCompressedTensors } from "../../src/format/compressed-tensors/read.js";
import { loadTensor } from "../../src/network/index.js";
import { fromQuantizedWeight } from "../../src/quant/from-quantized-weight.js";
import type { PlanEvent, QuantizeEvent } from "../../src/run/events/events.js";
import { identityOf } from "../../src/run/journal/run-identity.js";
import {
  type GivenOptions,
  resolveOptions,
  runOptionsSchema,
  type UntypedOptions,
} from "../../src/run/options/options.js";
import { optionLines } from "../../src/run/options/parse/option-tree.js";
import { withRecipeSection } from "../../src/run/options/recipe-sections.js";
import { scope } from "../../src/tensor/index.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { stoppedAt } from "../fixtures/in-process/stopped-at.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";

// The one line in the table, for these tests only.
vi.mock(import("../../src/recipe/recipes.js"), async (original) => {
  const { toyRecipe } = await import("../fixtures/toy-recipe.js");
  return { recipes: [...(await original()).recipes, toyRecipe] as never };
});
// The engine's thread would have the table without that line.
vi.mock("../../src/run/engine/engine-client.js", () => import("../fixtures/engine-in-process.js"));

const SCHEME = "W4A16g32";

describe("a recipe that is one file and one line", () => {
  const required = { model: "m", scheme: SCHEME, out: "o", calibration: ["t"] };
  const resolved = (...options: readonly UntypedOptions[]): UntypedOptions => resolveOptions(required, ...options);
  const toy = { recipe: "toy" };

  it("has its options, defaults and presets resolved", () => {
    const plain = { bias: 0, mode: "cut", stride: 2 };
    expect(resolved(toy)).toMatchObject({ toy: plain, range: { candidates: 1 } });
    expect(resolved(toy, { range: { candidates: 9 } })).toMatchObject({ range: { candidates: 9 } });
    expect(resolved(toy, { preset: "paper" })).toMatchObject({ toy: { bias: 0.5 }, range: { candidates: 60 } });
    expect(resolved(toy, { toy: { mode: "dither" } })).toMatchObject({ toy: { bias: 0.25 } });
    expect(resolved({})).toMatchObject({ recipe: "cbq", toy: plain, range: { candidates: 60 } });
    const file = { recipes: { toy: { toy: { bias: 0.125 } } } };
    expect(resolved(withRecipeSection(file, toy), toy)).toMatchObject({ toy: { bias: 0.125 } });
  });

  it.each<[UntypedOptions, RegExp]>([
    [{ toy: { bais: 0.1 } }, /"toy\.bais".*did you mean "toy\.bias"/],
    [{ toy: { bias: 7 } }, /"toy\.bias".*7 does not fit/],
    [{ toy: { stride: 3 } }, /"toy\.stride".*reads it only with toy\.mode=dither.*--set toy\.mode=dither/],
    [{ recipe: "cbq", toy: { bias: 0 } }, /"toy\.bias".*the recipe cbq does not read it.*it is for toy.*--recipe toy/],
    [{ recipe: "rtn", preset: "paper" }, /it is for .*cbq and toy.*--recipe .*cbq or toy/],
    [{ cfp: { weights: true } }, /"cfp\.weights".*the recipe toy does not read it.*--recipe cbq/],
    [{ window: { batch: 2 } }, /"window\.batch".*the recipe toy does not read it.*--recipe cbq/],
    [{ gptq: { damping: 0.1 } }, /"gptq\.damping".*it is for gptq, .*and cbq/],
    [{ compute: { gradients: "full" } }, /"compute\.gradients".*it is for .*cbq/],
  ])("has others' options, and its own as they don't fit, refused: %j", (options, message) => {
    expect(() => resolved(toy, options)).toThrow(OptionError);
    expect(() => resolved(toy, options)).toThrow(message);
  });

  it("is part of what identifies its own runs, and of no others", () => {
    const parts = { model: "", tokenizer: null, calibration: null, version: "", engine: "" };
    const names = (options: UntypedOptions): readonly string[] =>
      Object.keys(identityOf(parts, resolved(options) as GivenOptions)).filter((name) => name.includes(" toy."));
    expect(names(toy)).toEqual(["option toy.bias", "option toy.mode"]);
    expect(names({ ...toy, toy: { mode: "dither" } })).toContain("option toy.stride");
    expect(names({})).toEqual([]);
  });

  it("stands in help, with its options and who reads them", () => {
    const recipe = optionLines(runOptionsSchema).find(({ name }) => name === "recipe");
    expect(recipe?.choices).toEqual([
      "rtn",
      "gptq",
      "slim",
      "boa",
      "aespa",
      "norm-tweaking",
      "affine-quant",
      "kurtosis",
      "l4q",
      "tfmq",
      "efficient-qat",
      "brecq",
      "cbq",
      "toy",
    ]);
    const help = (name: string): string => {
      const line = optionLines(runOptionsSchema).find((each) => each.name === name);
      return line === undefined ? "" : optionText(line);
    };
    expect(help("toy.bias")).toContain("(default: 0; 0.25 with toy.mode=dither; 0.5 with --recipe toy --preset paper)");
    expect(help("toy.bias")).toMatch(/\[toy\]$/);
    expect(help("toy.stride")).toMatch(/\[toy with toy\.mode=dither\]$/);
    expect(help("range.candidates")).toContain(
      "(default: 60; 80 with --recipe brecq --preset paper; 1 with --recipe toy)",
    );
    const settings = settingsHelp({ recipe: "toy" as "rtn" });
    expect(settings).toContain("Settings that the recipe toy reads");
    expect(settings).toMatch(/range\.candidates <number>\n +clipping factors tried per group \(default: 1\)/);
  });
});

describe("a run of such a recipe", () => {
  let place: Workplace;
  let model = "";
  const given = (out: string): QuantizeOptions =>
    ({
      ...{ model, scheme: SCHEME, recipe: "toy", toy: { bias: 0.25 }, out: join(place.folder, out) },
      ...{ calibration: [place.text], samples: 2, context: 64, device: "cpu" },
    }) as unknown as QuantizeOptions;
  const collect = async (options: QuantizeOptions): Promise<readonly QuantizeEvent[]> => {
    const events: QuantizeEvent[] = [];
    for await (const event of quantize(options)) events.push(event);
    return events;
  };
  const weights = (out: string): readonly string[] =>
    readdirSync(join(place.folder, out))
      .filter((file) => file.endsWith(".safetensors"))
      .map((file) =>
        createHash("sha256")
          .update(readFileSync(join(place.folder, out, file)))
          .digest("hex"),
      );

  beforeAll(async () => {
    place = workplace(150);
    model = join(place.folder, "model");
    await writeCutModel(model, 3);
    await collect(given("whole"));
  });
  afterAll(() => place[Symbol.dispose]());

  it("is planned", async () => {
    const [, plan] = (await collect({ ...given("none"), dryRun: true })) as [QuantizeEvent, PlanEvent];
    expect(plan).toMatchObject({
      event: "plan",
      recipe: "toy",
      trainedParameters: 0,
      windows: [
        [0, 0],
        [1, 1],
        [2, 2],
      ],
    });
    expect(formatPlan(plan)).toMatch(/^recipe: +toy, preset default$/m);
  });

  it("gives the codes of its rule, with the options that were given", async () => {
    using checkpoint = await Checkpoint.open(model);
    using result = await openCompressedTensors(join(place.folder, "whole"));
    for (const module of result.linears.keys()) {
      const stored = await result.readQuantized(module);
      scope(() => {
        const shape = [stored.rows, stored.columns];
        const exact = loadTensor(checkpoint, `${module}.weight`, shape, { device: "cpu", dtype: "float32" });
        const units = exact.toFloat32Array();
        const values = fromQuantizedWeight(stored, "cpu").toFloat32Array();
        for (const [i, value] of values.entries()) {
          const scale = stored.scales[Math.floor(i / stored.groupSize)] ?? 0;
          const steps = (units[i] ?? 0) / scale;
          const code = Math.min(7, Math.max(-8, Math.sign(steps) * Math.floor(Math.abs(steps) + 0.25)));
          if (Math.abs(value / scale - code) > 1e-3)
            throw new Error(`${module}, weight ${i}: ${value / scale}, not ${code}`);
        }
      });
    }
    expect(result.linears.size).toBe(21);
  });

  it("continues where it was stopped, to the same bytes", async () => {
    await stoppedAt("window-done", given("resumed"));
    expect(readdirSync(place.folder)).not.toContain("resumed");
    const events = await collect(given("resumed"));
    expect(events).toContainEqual(expect.objectContaining({ event: "continued", window: 1, windows: 3 }));
    expect(weights("resumed")).toEqual(weights("whole"));
  });

  it("is exported and evaluated", async () => {
    const out = join(place.folder, "exports");
    const events: string[] = [];
    for await (const { event } of exportResult({ result: join(place.folder, "whole"), format: ["gguf"], out }))
      events.push(event);
    expect(events).toContain("exported");
    const { value } = await evaluate(join(place.folder, "whole"), { text: place.text, context: 64, device: "cpu" });
    const { value: exact } = await evaluate(model, { text: place.text, context: 64, device: "cpu" });
    expect(value).toBeGreaterThan(1);
    expect(Math.abs(Math.log(value / exact))).toBeLessThan(1);
  });
});
