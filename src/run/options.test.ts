import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.js";
import { parseAssignments } from "./config-file.js";
import { resolveExportOptions } from "./export-result-options.js";
import { nearestName } from "./nearest-name.js";
import { optionLines } from "./option-tree.js";
import { recipeOptionsOf, resolveOptions, runOptionsSchema, type UntypedOptions } from "./options.js";
import { resolveVerifyOptions } from "./verify/verify-options.js";

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
    expect(options).toMatchObject({ samples: 128, context: null, seed: 0, recipe: "cbq", preset: "default" });
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
    // A dry run refuses what the run refuses.
    expect(refusal({ calibration: [], dryRun: true }).next).toContain("--calibration PATH");
  });

  it("offers a way without text that works, whatever asks for it", () => {
    const ways: readonly UntypedOptions[] = [
      { recipe: "gptq" },
      { recipe: "rtn", finish: "scales" },
      { recipe: "rtn", scheme: "W8A8", activation: { granularity: "tensor" } },
    ];
    const flags: Readonly<Record<string, UntypedOptions>> = {
      "--recipe rtn": { recipe: "rtn" },
      "--finish none": { finish: "none" },
      "--set activation.granularity=token": { activation: { granularity: "token" } },
    };
    for (const options of ways) {
      const way = /or use (.*)$/.exec(refusal({ ...options, calibration: [] }).next)?.[1] ?? "";
      expect(() => resolveOptions(required, options, { calibration: [] }, flags[way] ?? { way })).not.toThrow();
    }
  });

  it("takes ~ for the home folder in every path, and refuses that of another user", () => {
    const paths = { model: "~/m", out: "~/o", work: "~", calibration: ["~/a.txt", "b~/c.txt"] };
    expect(resolveOptions(required, paths)).toMatchObject({
      model: join(homedir(), "m"),
      out: join(homedir(), "o"),
      work: homedir(),
      calibration: [join(homedir(), "a.txt"), "b~/c.txt"],
    });
    for (const path of [{ out: "~bob/x" }, { calibration: ["a", "~bob"] }]) {
      expect(refusal(path).message).toMatch(/~bob is the home folder of another user.*Next: write the whole path/);
    }
    expect(resolveExportOptions({ result: "~/r", out: "~/o", format: ["gguf"] })).toMatchObject({
      result: join(homedir(), "r"),
      out: join(homedir(), "o"),
    });
    const verify = { result: "~/r", export: ["~/e"], model: "~/m", project: "~/p" };
    expect(Object.values(resolveVerifyOptions(verify)).flat()).toEqual(
      expect.arrayContaining(["r", "e", "m", "p"].map((name) => join(homedir(), name))),
    );
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
