import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { edmSchedule, noiseLevels } from "../../../src/calibration/diffusion/sigma-samplers.js";
import { decodeImage } from "../../../src/calibration/images/decode-image.js";
import { OnnxContent } from "../../../src/checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { QdqFile } from "../../../src/format/qdq/read.js";
import type { QuantizeEvent, QuantizeOptions } from "../../../src/index.js";
import { writeGraph } from "../../../src/network/graph/testing/small-graph.js";
import { crossblockHere } from "../../fixtures/in-process/cli-in-process.js";
import { library } from "../../fixtures/in-process/library.js";
import { importOnnxRuntime } from "../../format/judge/onnx-runtime.js";
import { smallDiffusion } from "../diffusion/small-diffusion.js";

const { quantize, verifyResult } = library;
const judge = await importOnnxRuntime();
const folder = temporaryFolder();
const at = (name: string): string => join(folder.path, name);
const model = at("unet.onnx");

beforeAll(() => {
  writeGraph(model, smallDiffusion);
  writeGraph(at("levels.onnx"), {
    ...smallDiffusion,
    inputs: { ...smallDiffusion.inputs, t: { dataType: "float32", shape: ["n"] } },
  });
});
afterAll(() => folder[Symbol.dispose]());

const short = [
  "--set",
  "sampling.images=4",
  "--set",
  "sampling.clip=3",
  "--set",
  "tfmq.epochs=2",
  "--set",
  "tfmq.temporalSteps=10",
];

describe("quantize of a diffusion network", () => {
  it("calibrates on a sampler's run, and writes ranges by step and a picture of samples", async () => {
    const { code, stdout, stderr } = await crossblockHere([
      ...["quantize", model, "--recipe", "tfmq", "--scheme", "W4A8", "--sampler", "ddim", "--steps", "5", ...short],
      ...["--samples-grid", at("grid.png"), "--out", at("out")],
    ]);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    const again = [
      "quantize",
      model,
      "--recipe",
      "tfmq",
      "--scheme",
      "W4A8",
      "--sampler",
      "ddim",
      "--steps",
      "5",
      ...short,
    ];
    const late = await crossblockHere([...again, "--samples-grid", at("other.png"), "--out", at("out")]);
    expect(late.code).toBe(2);
    expect(late.stderr).toMatch(/other\.png is not\n.*made at the end of a run\n.*--force to replace it/);
    // No images can be given to it.
    expect(stdout).toMatch(/next: crossblock verify /);
    using stored = QdqFile.open(join(at("out"), "model.onnx"));
    expect(stored.layers.size).toBe(10);
    for (const { input } of stored.layers.values()) {
      expect(input).toMatchObject({ grid: { input: "t", keys: [0, 200, 400, 600, 800], unknown: "error" } });
    }
    const image = await decodeImage(at("grid.png"), { resize: null, interpolation: "nearest", crop: null });
    // Three rows of eight images, 6 x 6 pixels each shown as 66 x 66.
    expect([image.width, image.height]).toEqual([2 + 8 * 68, 2 + 3 * 68]);
    const verified: unknown[] = [];
    for await (const event of verifyResult({ result: at("out"), runtimes: true })) verified.push(event);
    const runtime = judge === null ? /not installed/ : /agrees/;
    const told = { event: "verified", agrees: true, runtime: expect.stringMatching(runtime) };
    expect(verified).toContainEqual(expect.objectContaining(told));
    expect(verified).toContainEqual(expect.objectContaining({ event: "certified", agrees: true }));
    const record = JSON.parse(readFileSync(join(at("out"), "crossblock.json"), "utf8"));
    expect(record.options).toMatchObject({ sampler: "ddim", steps: 5 });
    expect(record.fingerprints.changed).toContain("a4.bias");
  });

  it("finds a bias that is neither the source's nor the one that was recorded", async () => {
    const file = join(at("out"), "model.onnx");
    const bytes = readFileSync(file);
    {
      using content = OnnxContent.open(file);
      const bias = Buffer.from(content.readBytes("a4.bias"));
      const place = bytes.indexOf(bias);
      expect(place).toBeGreaterThan(0);
      bytes.writeFloatLE(bytes.readFloatLE(place) + 0.25, place);
    }
    writeFileSync(file, bytes);
    const verified: unknown[] = [];
    for await (const event of verifyResult({ result: at("out"), runtimes: false })) verified.push(event);
    const told = { event: "disagreement", tensor: expect.stringContaining("a4.bias") };
    expect(verified).toContainEqual(expect.objectContaining(told));
    expect(verified).toContainEqual(expect.objectContaining({ event: "certified", agrees: false }));
  });

  it.each([
    ["edm", ["--steps", "4"], 7],
    ["edm", ["--steps", "4", "--set", "sampling.correction=none"], 4],
    ["consistency", ["--steps", "4"], 4],
  ])("has ranges for every noise level, be there a single image of each: %s %j", async (sampler, flags, calls) => {
    const out = at(`${sampler}-${calls}`);
    const { code } = await crossblockHere([
      ...["quantize", at("levels.onnx"), "--recipe", "tfmq", "--scheme", "W8A8", "--sampler", sampler, ...flags],
      ...["--set", "sampling.images=1", "--set", "tfmq.epochs=1", "--set", "tfmq.temporalSteps=1"],
      ...["--out", out],
    ]);
    expect(code).toBe(0);
    const record = JSON.parse(readFileSync(join(out, "crossblock.json"), "utf8"));
    expect(record.calibration).toMatchObject({ sequences: calls });
    using stored = QdqFile.open(join(out, "model.onnx"));
    const keys = noiseLevels({ ...edmSchedule, steps: 4 })
      .map(Math.fround)
      .reverse();
    for (const { input } of stored.layers.values()) expect(input).toMatchObject({ grid: { input: "t", keys } });
  });

  it("is the same result with the same seed, whatever the recipe is called with", async () => {
    const run = async (out: string): Promise<Buffer> => {
      const options = {
        model,
        recipe: "gptq",
        scheme: "W8A8",
        sampler: "ddim",
        steps: 3,
        sampling: { images: 4 },
        out: at(out),
      };
      for await (const _ of quantize(options as QuantizeOptions) as AsyncIterable<QuantizeEvent>);
      return readFileSync(join(at(out), "model.onnx"));
    };
    expect((await run("first")).equals(await run("second"))).toBe(true);
  });

  it.each([
    [["--recipe", "tfmq"], /time step.*--sampler ddim --steps 50/s],
    [["--recipe", "tfmq", "--sampler", "ddim", "--calibration", "x.npy"], /leave out one of them/],
    [["--recipe", "tfmq", "--sampler", "ddim", "--steps", "2000"], /knows 1000.*choose 1 to 1000/s],
    [
      ["--recipe", "tfmq", "--sampler", "ddim", "--steps", "5", "--samples", "3"],
      /only 3 of the 5 steps.*--samples 5 or more/s,
    ],
    [
      ["--recipe", "tfmq", "--sampler", "edm", "--set", "sampling.sigmaMin=90"],
      /90 is not below the highest noise level, 80.*sampling\.sigmaMin=0\.002/s,
    ],
    [["--recipe", "gptq", "--steps", "5", "--calibration", "x.npy"], /--sampler ddim/],
    [
      ["--recipe", "tfmq", "--sampler", "ddim", "--set", 'sampling.conditions=[{"input":"w","low":0,"high":1}]'],
      /no condition "w"/,
    ],
  ])("refuses %j before anything is computed", async (flags, message) => {
    const { code, stderr } = await crossblockHere([
      "quantize",
      model,
      "--scheme",
      "W4A8",
      ...flags,
      "--out",
      at("refused"),
    ]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});
