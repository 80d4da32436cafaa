import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { OptionError } from "../../errors.js";
import { windowSchedule } from "../../reconstruct/schedule.js";
import { resolveExportOptions } from "./commands/export-result-options.js";
import { resolveVerifyOptions } from "./commands/verify-options.js";
import { recipeOptionsOf, resolveOptions, type UntypedOptions } from "./options.js";
import { parseAssignments } from "./parse/config-file.js";
import { refusal, required } from "./testing/refusal.js";

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
    [{ device: "gpu" }, 'option "device"', "cpu, cuda:0, or auto. Next: leave it out"],
    [{ scheme: "W2A15" }, 'scheme "W2A15"', "W2A16"],
    [JSON.parse('{"__proto__": {"samples": 1}}') as UntypedOptions, 'option "__proto__"', "Next: "],
  ])("refuses %j", (options, where, next) => {
    const error = refusal(options as UntypedOptions);
    expect(error.where).toBe(where);
    expect(error.message).toContain(next);
    expect(error.exitCode).toBe(2);
  });

  it("refuses sequences at once that a step does not have, and bits of what is skipped", () => {
    expect(refusal({ window: { microBatch: 8 } }).message).toMatch(/more than a step has \(4\).*window\.microBatch=4/);
    expect(resolveOptions(required, { window: { microBatch: 8, batch: 8 } }).window.microBatch).toBe(8);
    const gptq = resolveOptions(required, { recipe: "gptq", window: { microBatch: 8 } });
    expect(gptq.window).toMatchObject({ microBatch: 8, batch: 8 });
    const skipped = refusal({ overrides: [{ pattern: "*.q_proj" }, { pattern: "*.down_proj", skip: true, bits: 8 }] });
    expect(skipped.message).toMatch(/"overrides\.1".*down_proj.*leave out skip/);
  });

  it("refuses codes to start from where the rounding starts at the weight; both ways that it offers work", () => {
    const lora = { rounding: { kind: "lora", start: "gptq" } };
    const ways = refusal(lora).next.match(/rounding\.\w+=\w+/g) ?? [];
    expect(ways).toEqual(["rounding.kind=code", "rounding.start=rtn"]);
    for (const way of ways) expect(() => resolveOptions(required, lora, parseAssignments([way]))).not.toThrow();
  });

  it("refuses outliers to be folded behind scales that a transform begins with; both ways that it offers work", () => {
    const both = { transform: "affine", cfp: { activations: true } };
    const ways = refusal(both).next.match(/\w+(\.\w+)?=\w+/g) ?? [];
    expect(ways).toEqual(["cfp.activations=false", "transform=none"]);
    for (const way of ways) expect(() => resolveOptions(required, both, parseAssignments([way]))).not.toThrow();
  });

  it("asks for no text where nothing reads any", () => {
    expect(resolveOptions(required, { calibration: [], recipe: "rtn" })).toMatchObject({ finish: "auto" });
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

describe("an option that nothing would read", () => {
  const rtn = { recipe: "rtn", calibration: [] };
  const gptq = { recipe: "gptq" };
  const slim = { recipe: "slim" };
  const W4A4 = { scheme: "W4A4" };
  it.each([
    ["rtn", { cfp: { weights: true } }, "cfp.weights", "cbq", "--recipe cbq"],
    ["rtn", { rounding: { kind: "lora" } }, "rounding.kind", "cbq", "--recipe cbq"],
    [
      "rtn",
      { gptq: { damping: 0.1 } },
      "gptq.damping",
      "gptq, slim, boa, aespa, norm-tweaking, affine-quant, kurtosis, l4q, tfmq, efficient-qat, brecq and cbq",
      "or cbq",
    ],
    ["rtn", { window: { size: 3 } }, "window.size", "cbq", "--recipe cbq"],
    [
      "rtn",
      { preset: "paper" },
      "preset",
      "slim, boa, aespa, norm-tweaking, affine-quant, kurtosis, l4q, tfmq, efficient-qat, brecq and cbq",
      "or cbq",
    ],
    [
      "gptq",
      { preset: "paper" },
      "preset",
      "slim, boa, aespa, norm-tweaking, affine-quant, kurtosis, l4q, tfmq, efficient-qat, brecq and cbq",
      "or cbq",
    ],
    ["gptq", { cfp: { activations: null } }, "cfp.activations", "cbq", "--recipe cbq"],
    ["gptq", { window: { batch: 4 } }, "window.batch", "cbq", "--recipe cbq"],
    ["gptq", { rates: { scale: 0.1 } }, "rates.scale", "cbq", "--recipe cbq"],
    [
      "gptq",
      { compute: { gradients: "full" } },
      "compute.gradients",
      "slim, affine-quant, tfmq, efficient-qat, brecq and cbq",
      "or cbq",
    ],
    [
      "norm-tweaking",
      { compute: { gradients: "fp8" } },
      "compute.gradients",
      "slim, affine-quant, tfmq, efficient-qat, brecq and cbq",
      "or cbq",
    ],
  ])("of another recipe is refused: %s %j", (recipe, options, name, readers, next) => {
    const error = refusal({ recipe, ...options } as UntypedOptions);
    expect(error.where).toBe(`option "${name}"`);
    expect(error.message).toContain(`it is for ${readers}`);
    expect(error.next).toContain(next);
    // What the next step says, done.
    const done = { ...options, recipe: next.split(" ").at(-1) } as UntypedOptions;
    expect(resolveOptions(required, done)).toMatchObject(options);
  });

  it.each<[UntypedOptions, string, string, UntypedOptions]>([
    [{ rounding: { rank: 8 } }, "rounding.rank", "--set rounding.kind=lora", { rounding: { kind: "lora" } }],
    [
      { rounding: { regulariser: { weight: 1 } } },
      "rounding.regulariser.weight",
      "--set rounding.kind=lora",
      { rounding: { kind: "adaround" } },
    ],
    [{ rates: { zeroPoint: 0.1 } }, "rates.zeroPoint", "--asym", { asym: true }],
    [{ rates: { activation: 0.1 } }, "rates.activation", "a scheme like W4A8", W4A4],
    [
      { ...W4A4, activation: { learnClip: false }, rates: { activation: 0.1 } },
      "rates.activation",
      "activation.learnClip=true",
      { activation: { learnClip: true } },
    ],
    [{ window: { epochs: 0 }, rates: { scale: 0.1 } }, "rates.scale", "window.epochs=10", { window: { epochs: 10 } }],
    [
      { window: { loss: { l2Weight: 0, l2: "plain" } } },
      "window.loss.l2",
      "l2Weight=1",
      { window: { loss: { l2Weight: 1 } } },
    ],
    [{ range: { search: false, candidates: 9 } }, "range.candidates", "range.search=true", { range: { search: true } }],
    [{ cfp: { detection: "msmodelslim" } }, "cfp.detection", "cfp.weights=true", { cfp: { weights: true } }],
    [{ cfp: { weights: true, exponent: 0.6 } }, "cfp.exponent", "cfp.activations=true", { cfp: { activations: true } }],
    [{ ...W4A4, cfp: { exponent: 0.6 } }, "cfp.exponent", "cfp.activations=true", { cfp: { activations: true } }],
    [{ cfp: { perRow: true } }, "cfp.perRow", "cfp.weights=true", { cfp: { weights: true } }],
    [{ activation: { granularity: "tensor" } }, "activation.granularity", "a scheme like W4A8", W4A4],
    [{ finish: "none", endToEnd: { epochs: 2 } }, "endToEnd.epochs", "--finish scales", { finish: "scales" }],
    [{ ...gptq, endToEnd: { epochs: 2 } }, "endToEnd.epochs", "--finish scales", { finish: "scales" }],
    [{ ...gptq, schedule: { finalRate: 0.5 } }, "schedule.finalRate", "--finish scales", { finish: "scales" }],
    [
      { ...gptq, ...W4A4, activation: { learnClip: false } },
      "activation.learnClip",
      "--finish scales",
      { finish: "scales" },
    ],
    [{ endToEnd: { activationRate: 1 } }, "endToEnd.activationRate", "a scheme like W4A8", W4A4],
    [{ ...slim, slim: { epochs: 4 } }, "slim.epochs", "slim.clipping=learnt", { slim: { clipping: "learnt" } }],
    [{ ...slim, slim: { codes: "nearest" } }, "slim.codes", "slim.clipping=learnt", { slim: { clipping: "learnt" } }],
    [{ ...slim, slim: { lambda: 3 } }, "slim.lambda", "slim.ranges=salience", { slim: { ranges: "salience" } }],
    [
      { ...slim, schedule: { finalRate: 0.5 } },
      "schedule.finalRate",
      "slim.clipping=learnt",
      { slim: { clipping: "learnt" } },
    ],
    [{ ...rtn, samples: 8 }, "samples", "--calibration PATH", { calibration: ["t"] }],
    [{ ...rtn, context: 8 }, "context", "--calibration PATH", { calibration: ["t"] }],
    [{ ...rtn, seed: 1 }, "seed", "rotation=hadamard", { rotation: "hadamard" }],
    [{ ...rtn, streams: { storage: "disk" } }, "streams.storage", "--calibration PATH", { calibration: ["t"] }],
    [{ ...rtn, window: { microBatch: 1 } }, "window.microBatch", "--calibration PATH", { calibration: ["t"] }],
  ])("as others stand is refused, with what it needs: %j", (options, name, next, needed) => {
    const error = refusal(options);
    expect(error.where).toBe(`option "${name}"`);
    expect(error.next).toMatch(/^leave it out, or /);
    expect(error.next).toContain(next);
    expect(() => resolveOptions(required, options, needed)).not.toThrow();
  });

  it("is named itself, whatever its value would mean for others", () => {
    expect(refusal({ ...rtn, window: { size: 1 } }).where).toBe('option "window.size"');
    const message = refusal({ window: { size: 1 } }).message;
    expect(() => windowSchedule(8, 1, 1)).toThrow(message);
    expect(message).toContain("Next: try --set window.overlap=0");
  });

  it.each([
    { onnxPrecision: "fp32" },
    { onnxAccuracy: "fast" },
    { reencode: false, format: ["onnx"] },
    { ggufEmbedding: null },
  ])("is refused with its default's value too, where it is for a format that is not written: %j", (options) => {
    expect(refusal(options).next).toMatch(/^add (gguf|onnx) to --format/);
    const format = [...(options.format ?? []), refusal(options).next.split(" ")[1]];
    expect(() => resolveOptions(required, options, { format })).not.toThrow();
    expect(() => resolveExportOptions({ result: "r", format: ["gptq"], ...options })).toThrow(OptionError);
  });

  it("may come from a preset, which gives what its recipe reads", () => {
    const options = resolveOptions(required, { preset: "paper", rounding: { kind: "code" }, finish: "auto" });
    expect(options).toMatchObject({ rounding: { kind: "code", start: "gptq", rank: 5 }, window: { epochs: 3 } });
  });
});
