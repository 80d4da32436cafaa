import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.js";
import { parseAssignments } from "./config-file.js";
import { nearestName } from "./nearest-name.js";
import { optionLines } from "./option-tree.js";
import { recipeOptionsOf, resolveOptions, runOptionsSchema, type UntypedOptions } from "./options.js";

const required = { model: "m", scheme: "W2A16g64", out: "o", calibration: ["text.txt"] };

function refusal(options: UntypedOptions): OptionError {
  try {
    resolveOptions(required, options);
  } catch (error) {
    if (error instanceof OptionError) return error;
    throw error;
  }
  throw new Error("the options were accepted");
}

describe("resolveOptions", () => {
  it("fills every default", () => {
    const options = resolveOptions(required);
    expect(options).toMatchObject({ samples: 128, context: 2048, seed: 0, recipe: "cbq", preset: "default" });
    expect(options.window).toMatchObject({ size: 2, overlap: 1, microBatch: null });
    expect(recipeOptionsOf(options).rounding.kind).toBe("code");
  });

  it("lays the user over the preset over the defaults", () => {
    const options = resolveOptions(required, { preset: "paper" }, parseAssignments(["window.epochs=7"]));
    expect(options.window).toMatchObject({ epochs: 7, batch: 1, secondBranch: true });
    expect(options.window.loss).toMatchObject({ l2: "plain", klWeight: 1 });
    expect(options.rounding.kind).toBe("lora");
  });

  it("gives a rounding the rates that belong to it, whatever the preset", () => {
    const rates = (kind: string): number => resolveOptions(required, { rounding: { kind } }).rates.rounding;
    expect(rates("lora")).toBeGreaterThan(rates("code"));
    const set = resolveOptions(required, { rounding: { kind: "lora" }, rates: { rounding: 0.5 } });
    expect(set.rates.rounding).toBe(0.5);
  });

  it.each([
    [{ sample: 3 }, 'option "sample"', 'did you mean "samples"'],
    [{ window: { overlapp: 1 } }, 'option "window.overlapp"', 'did you mean "window.overlap"'],
    [{ epochs: 3 }, 'option "epochs"', "window.epochs"],
    [{ recipe: "gptg" }, 'option "recipe"', 'did you mean "gptq"'],
    [{ window: { size: 0 } }, 'option "window.size"', "give"],
    [{ window: 3 }, 'option "window"', "give"],
    [{ window: { size: 1 } }, 'option "window.overlap"', "--set window.overlap=0"],
    [{ overrides: [{ pattern: "x", bit: 3 }] }, 'option "overrides.0.bit"', '"overrides.0.bits"'],
    [{ device: "gpu" }, 'option "device"', "give"],
    [{ scheme: "W2A15" }, 'scheme "W2A15"', "W2A16"],
    [{ calibration: [] }, 'option "calibration"', "--recipe rtn"],
    [{ calibration: [], recipe: "rtn", finish: "scales" }, 'option "calibration"', "--finish scales needs text"],
    [JSON.parse('{"__proto__": {"samples": 1}}') as UntypedOptions, 'option "__proto__"', "Next: "],
  ])("refuses %j", (options, where, next) => {
    const error = refusal(options as UntypedOptions);
    expect(error.where).toBe(where);
    expect(error.message).toContain(next);
    expect(error.exitCode).toBe(2);
  });

  it("asks for no text where nothing reads any", () => {
    expect(resolveOptions(required, { calibration: [], recipe: "rtn" })).toMatchObject({ finish: "auto" });
    expect(resolveOptions(required, { calibration: [], dryRun: true })).toMatchObject({ recipe: "cbq" });
  });

  it("names a missing argument", () => {
    expect(() => resolveOptions({ scheme: "W4A4", out: "o" })).toThrow(/option "model": is required.*MODEL/);
  });
});

describe("optionLines", () => {
  it("has a type, a line of help and a default or a requirement for every option", () => {
    const lines = optionLines(runOptionsSchema);
    expect(lines.length).toBeGreaterThan(50);
    for (const line of lines) {
      expect(line.help, line.name).not.toBe("");
      expect(line.type, line.name).not.toBe("");
    }
    expect(lines.filter((line) => line.defaultValue === null).map((line) => line.name)).toEqual([
      "model",
      "scheme",
      "out",
    ]);
    expect(lines.find((line) => line.name === "window.loss.l2")).toMatchObject({ type: "plain|token" });
    expect(lines.find((line) => line.name === "window.microBatch")).toMatchObject({ type: "number|null" });
  });
});

describe("nearestName", () => {
  it("counts a swap as one edit and gives up on strangers", () => {
    expect(nearestName("sede", ["samples", "seed", "scheme"])).toBe("seed");
    expect(nearestName("xylophone", ["seed", "out"])).toBeNull();
  });
});
