import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { OptionError } from "../../errors.js";
import { type DecoderSpec, decoderUnits, readSpec } from "../../network/index.js";
import { resolveSchemes } from "../../recipe/job/layer-schemes.js";
import { recipeNames } from "../../recipe/job/recipe-names.js";
import { resolveOptions, schemeOf, type UntypedOptions } from "../options/options.js";
import { parseBytes } from "../options/parse/parse-bytes.js";
import { type FittedPlan, fitMemory } from "./fit-memory.js";
import { slowMachine } from "./testing/slow-machine.js";

const model = fileURLToPath(new URL("../../../models/sotu-llama-7m", import.meta.url));
let checkpoint: Checkpoint;
let spec: DecoderSpec;
beforeAll(async () => {
  checkpoint = await Checkpoint.open(model);
  spec = readSpec(await readModelConfig(model));
});
afterAll(() => checkpoint.close());

function fitted(
  maxMemory: string | null,
  device: "cpu" | "cuda:0",
  extra: UntypedOptions = {},
  spareBytes = 64e9,
): FittedPlan {
  const given = {
    model,
    scheme: "W2A16g64",
    out: "o",
    calibration: ["t"],
    maxMemory,
    // Of other recipes the batch is an option of their own.
    ...("recipe" in extra ? {} : { window: { batch: 8 } }),
  };
  const options = { ...resolveOptions(given, extra), context: 512 };
  const scheme = schemeOf(options);
  const schemes = resolveSchemes(decoderUnits(spec), scheme, options.overrides);
  const machine = {
    device,
    speed: slowMachine,
    effort: null,
    kernels: true,
    fusedAttention: false,
    baseBytes: 280e6,
    measuredBytes: 280e6,
  };
  const memory = { workspaceBytes: 0, textWhy: null, spareBytes };
  return fitMemory({
    options,
    scheme,
    spec,
    schemes,
    activations: null,
    checkpoint,
    exports: [],
    census: { quantized: 0, computed: 0, leftOut: [] },
    ...machine,
    ...memory,
  });
}

describe("a budget of memory", () => {
  it("is read as people write it", () => {
    expect(["6GB", "800 MB", "4GiB", "1.5g", "123456"].map(parseBytes)).toEqual([6e9, 8e8, 2 ** 32, 1.5e9, 123456]);
    for (const text of ["", "many", "6 PB", "-1GB"]) expect(() => parseBytes(text)).toThrow(/6GB or 800MB/);
  });

  it("changes nothing where there is none, or enough", () => {
    expect(fitted(null, "cpu")).toMatchObject({ microBatch: 8, storage: "auto", tensorBytes: null });
    expect(fitted("60GB", "cpu")).toMatchObject({ microBatch: 8, storage: "device" });
  });

  it("limits tensors to what the process does not take otherwise", () => {
    // 280 MB of the process, 75 MB for text.
    expect(fitted("2GB", "cpu").tensorBytes).toBe(2e9 - 355e6);
    expect(fitted("2GB", "cuda:0").tensorBytes).toBe(2e9);
  });

  it("is not needed where little memory is free: fewer sequences, one at least", () => {
    const whole = fitted(null, "cuda:0", { streams: { storage: "disk" } }).plan.estimate.deviceBytes;
    const sizes = [2.1, 1.9, 1, 0.1].map((times) => fitted(null, "cuda:0", {}, whole * times).microBatch);
    expect(sizes[0]).toBe(8);
    expect(sizes[1]).toBeLessThan(8);
    expect(sizes[2]).toBeLessThanOrEqual(sizes[1] ?? 0);
    expect(sizes[3]).toBe(1);
    expect(fitted(null, "cpu", {}, 0).microBatch).toBe(1);
    expect(fitted(null, "cpu", { window: { microBatch: 4 } }, 0).microBatch).toBe(4);
  });

  it("moves the streams away first, then has fewer sequences at once, and is never exceeded", () => {
    const whole = fitted("60GB", "cpu").plan.estimate.hostBytes * 1.15;
    const choices = [0.95, 0.8, 0.7, 0.6].map((share) => {
      const { plan, microBatch, storage } = fitted(`${Math.floor(whole * share)}`, "cpu");
      expect(plan.estimate.hostBytes * 1.15).toBeLessThanOrEqual(whole * share);
      return { microBatch, storage };
    });
    expect(choices[0]).toEqual({ microBatch: 8, storage: "disk" });
    expect(choices.at(-1)?.microBatch).toBeLessThan(8);
    expect(fitted("350MB", "cuda:0").plan.estimate.deviceBytes).toBeLessThanOrEqual(350e6);
  });

  it.each(recipeNames.filter((recipe) => recipe !== "tfmq"))("is kept by every recipe, or refused: %s", (recipe) => {
    const own = { recipe };
    const needed = fitted(null, "cpu", own).plan.estimate.hostBytes;
    const sizes = [4, 1.1, 0.9, 0.8].flatMap((share) => {
      try {
        const { plan, microBatch } = fitted(`${Math.floor(needed * share)}`, "cpu", own);
        expect(plan.estimate.hostBytes).toBeLessThanOrEqual(needed * share);
        return [microBatch];
      } catch (error) {
        expect(error).toBeInstanceOf(OptionError);
        expect((error as OptionError).next).toMatch(/--max-memory \d+/);
        return [];
      }
    });
    expect(sizes.length).toBeGreaterThan(0);
    for (const [i, size] of sizes.entries()) expect(size).toBeLessThanOrEqual(sizes[i - 1] ?? size);
  });

  it("counts what BoA holds of attention: a square of the hidden size for each head of the values, unless that is switched off", () => {
    const bytes = (recipe: string, boa: UntypedOptions): number =>
      fitted(null, "cuda:0", { recipe, boa }).plan.estimate.deviceBytes;
    const [heads, width] = [4, 256];
    const more = bytes("boa", {}) - bytes("boa", { blockV: false });
    expect(more).toBeGreaterThanOrEqual(heads * width ** 2 * 4);
    expect(more).toBeLessThan(40e6);
    // L4Q begins with such codes, and then trains, which takes more.
    expect(bytes("l4q", {})).toBe(bytes("l4q", { blockV: false }));
  });

  it("that is too small is refused, with what is needed", () => {
    expect(() => fitted("50MB", "cpu")).toThrow(OptionError);
    expect(() => fitted("50MB", "cpu")).toThrow(/at least.*Next: give --max-memory \d+MB/);
  });

  it("leaves what was asked for as it is", () => {
    const asked = { window: { microBatch: 2 }, streams: { storage: "host" } };
    expect(fitted("60GB", "cpu", asked)).toMatchObject({ microBatch: 2, storage: "host" });
  });
});
