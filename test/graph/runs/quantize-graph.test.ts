import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import type { QuantizeEvent, QuantizeOptions } from "../../../src/index.js";
import { floats, someFloats } from "../../../src/network/graph/testing/small-graph.js";
import { crossblockHere } from "../../fixtures/in-process/cli-in-process.js";
import { library } from "../../fixtures/in-process/library.js";
import { smallNetwork, writeArray, writeImages, writeSmallNetwork } from "./small-network.js";

const { quantize, evaluateImages, verifyResult } = library;
const folder = temporaryFolder();
const at = (name: string): string => join(folder.path, name);
let model = "";
let array = "";

beforeAll(async () => {
  model = writeSmallNetwork(folder.path);
  array = writeArray(folder.path, 40);
  await writeImages(at("images"), 30);
  mkdirSync(at("empty"));
});
afterAll(() => folder[Symbol.dispose]());

/** What images are to the small network, said so that nothing is assumed. */
const images: NonNullable<QuantizeOptions["images"]> = {
  range: [-1, 1],
  mean: 0,
  std: 1,
  resize: "none",
  crop: "none",
};

async function run(out: string, options: Partial<QuantizeOptions>): Promise<QuantizeEvent[]> {
  const events: QuantizeEvent[] = [];
  const given = { model, scheme: "W4A16", out: at(out), ...options } as QuantizeOptions;
  for await (const event of quantize(given)) events.push(event);
  return events;
}

const record = (out: string) => JSON.parse(readFileSync(join(at(out), "crossblock.json"), "utf8"));
const find = <E extends QuantizeEvent["event"]>(
  events: readonly QuantizeEvent[],
  name: E,
): Extract<QuantizeEvent, { event: E }> | undefined =>
  events.find((event): event is Extract<QuantizeEvent, { event: E }> => event.event === name);

describe("quantize of an ONNX network", () => {
  it.each<readonly [out: string, options: Partial<QuantizeOptions>, scored: number]>([
    ["rtn", { recipe: "rtn" }, 0],
    ["gptq", { recipe: "gptq", calibration: "examples.npy", samples: 16 }, 24],
    ["w4a8", { recipe: "gptq", scheme: "W4A8", calibration: "examples.npy", samples: 16 }, 24],
    ["brecq", { recipe: "brecq", scheme: "W4A8", calibration: "examples.npy", samples: 16, brecq: { epochs: 2 } }, 24],
    ["cbq", { recipe: "cbq", calibration: "images", images, window: { epochs: 2, batch: 4 } }, 6],
  ])("as %s writes ONNX again, with record, page and card, which verify agrees with", async (out, options, scored) => {
    const { calibration } = options;
    const events = await run(out, {
      ...options,
      ...(typeof calibration === "string" && { calibration: at(calibration) }),
    });
    expect(readdirSync(at(out)).sort()).toEqual(["README.md", "crossblock.json", "model.onnx", "report.html"]);
    expect(find(events, "plan")).toMatchObject({ linears: 4, exports: [{ format: "qdq", path: at(out) }] });
    const found = record(out);
    expect(found.linears.map(({ name }: { name: string }) => name).sort()).toEqual(["deep", "head", "out", "stem"]);
    expect(found.network).toMatchObject({ kind: "graph", output: "y", folded: ["norm"] });
    expect(found.sizes.source).toBe(statSync(model).size);
    const outputs = find(events, "outputs");
    if (scored === 0) expect([outputs, found.qualityMissing]).toEqual([undefined, "no examples were given"]);
    else {
      expect(outputs?.count).toBe(scored);
      expect(outputs?.result.relativeError).toBeGreaterThan(0);
      expect(outputs?.result.relativeError).toBeLessThan(outputs?.roundToNearest?.relativeError ?? 0);
    }
    // The image itself is not quantized.
    if (out === "w4a8") expect(Object.keys(found.activations.zeroPoints).sort()).toEqual(["deep", "head", "out"]);
    const verified: unknown[] = [];
    for await (const event of verifyResult({ result: at(out), runtimes: false })) verified.push(event);
    expect(verified).toContainEqual(expect.objectContaining({ event: "certified", agrees: true }));
  });

  it("is the same result where it is asked for again, and another one is refused", async () => {
    const again = await run("rtn", { recipe: "rtn" });
    expect(find(again, "already-there")).toMatchObject({ format: "qdq", scheme: "W4A16" });
    await expect(run("rtn", { recipe: "rtn", scheme: "W8A16" })).rejects.toThrow(/scheme "W4A16" -> "W8A16"/);
  });

  it("that is stopped goes on where it was, and writes the same bytes", async () => {
    const options = { recipe: "cbq", calibration: array, samples: 16, window: { epochs: 2, batch: 4 } } as const;
    await run("whole", options);
    const control = new AbortController();
    const stopped = (async () => {
      const given = { model, scheme: "W4A16", out: at("parts"), ...options, signal: control.signal } as QuantizeOptions;
      for await (const event of quantize(given)) if (event.event === "window-done") control.abort(new Error("enough"));
    })();
    await expect(stopped).rejects.toThrow("enough");
    expect(existsSync(at("parts"))).toBe(false);
    const events = await run("parts", options);
    expect(find(events, "continued")?.window).toBeGreaterThan(0);
    for (const file of ["model.onnx"]) {
      expect(readFileSync(join(at("parts"), file)).equals(readFileSync(join(at("whole"), file)))).toBe(true);
    }
    expect(record("parts").fingerprints).toEqual(record("whole").fingerprints);
  });

  it("only planned writes nothing, and tells memory, time and what the images become", async () => {
    const before = readdirSync(folder.path).sort();
    const { stdout, stderr, code } = await crossblockHere([
      ...["quantize", model, "--recipe", "gptq", "--scheme", "W4A16", "--calibration", at("images")],
      ...["--out", at("planned"), "--dry-run"],
    ]);
    expect([code, readdirSync(folder.path).sort()]).toEqual([0, before]);
    expect(stdout).toMatch(/quantized: +4 Linears, 912 weights/);
    expect(stdout).toMatch(/calibration: +24 images/);
    expect(stderr).toMatch(
      /nothing says what images become.*resized to 9; cropped to 8 x 8.*next: give --set images\.mean/,
    );
  });

  it("in a memory that is too small is refused before it begins, and one that fits is kept", async () => {
    const options = { recipe: "gptq", calibration: array, dryRun: true } as const;
    await expect(run("small", { ...options, maxMemory: "1MB" })).rejects.toThrow(/maxMemory.*--max-memory \d+MB/);
  });
});

describe("eval of an ONNX network", () => {
  it("counts how often it is right on folders of classes, and compares it with a reference", async () => {
    const own = await evaluateImages(model, { images: at("images"), preprocessing: images, reference: model });
    expect(own).toMatchObject({
      images: 30,
      labels: "folders",
      reference: { relativeError: 0, agreement: 1, divergence: 0 },
    });
    expect(own.accuracy?.top5).toBeGreaterThanOrEqual(own.accuracy?.top1 ?? 1);
    expect(own.reference?.accuracy).toEqual(own.accuracy);
    // The record of a result says what images are to it.
    const quantized = await evaluateImages(at("cbq"), { images: at("images"), reference: model, limit: 12 });
    expect(quantized).toMatchObject({ images: 12, ofImages: 30, preprocessing: own.preprocessing });
    expect(quantized.reference?.relativeError).toBeGreaterThan(0);
    expect(quantized.reference?.agreement).not.toBeNull();
  });

  it("takes classes from a file, by name and in order, and says which class is none", async () => {
    writeFileSync(at("labels.txt"), Array.from({ length: 30 }, (_, i) => `${i}.png 0`).join("\n"));
    const flags = [
      "--set",
      "images.range=[-1,1]",
      "images.mean=0",
      "images.std=1",
      "images.resize=none",
      "images.crop=none",
    ];
    const args = ["eval", model, "--images", at("images"), "--labels", at("labels.txt"), ...flags];
    const { stdout, code } = await crossblockHere([...args, "--json"]);
    expect(code).toBe(0);
    const event = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    expect(event).toMatchObject({ event: "images", labels: "file", images: 30, reference: null });
    const shown = await crossblockHere(args);
    expect(shown.stdout).toMatch(/^top-1 \d+\.\d\d % ± .* on 30 images; classes from file\nimages {4}rgb from 0 to 2/);
    writeFileSync(at("order.txt"), "7\n".repeat(40));
    await expect(evaluateImages(model, { images: array, labels: at("order.txt") })).rejects.toThrow(
      /tells 6 classes, and an image is of class 7/,
    );
    await expect(evaluateImages(model, { images: array })).rejects.toThrow(/no classes are known.*Next: give --labels/);
  });
});

describe("what a graph can't be quantized with is refused before work starts, with what to do", () => {
  const bad = (name: string, change: Partial<typeof smallNetwork>): string => {
    const place = at(name);
    mkdirSync(place, { recursive: true });
    return writeSmallNetwork(place, { ...smallNetwork, ...change });
  };

  it.each<[string, () => Partial<QuantizeOptions>, RegExp]>([
    [
      "a recipe of language models",
      () => ({ recipe: "l4q", calibration: array }),
      /ONNX graph.*Next: use --recipe rtn, gptq/,
    ],
    [
      "an option of language models",
      () => ({ recipe: "gptq", calibration: array, context: 64 }),
      /"context".*leave it out/,
    ],
    ["end-to-end training", () => ({ calibration: array, finish: "scales" }), /"finish".*language models/],
    ["text", () => ({ recipe: "gptq", calibration: "bundled" }), /"bundled" is text.*folder of images/],
    ["another format", () => ({ recipe: "rtn", format: ["gguf"] }), /--format gguf.*use --format qdq/],
    ["no examples", () => ({ recipe: "gptq" }), /gptq needs examples.*give --calibration/],
    [
      "fewer images than asked",
      () => ({ recipe: "gptq", calibration: at("images"), samples: 64 }),
      /there are 30 images.*--samples 30/,
    ],
    [
      "examples that are no numbers",
      () => ({ recipe: "gptq", calibration: writeArray(folder.path, 20, Number.NaN) }),
      /input "x" holds NaN.*Next: leave such examples out/,
    ],
    ["an empty folder", () => ({ recipe: "gptq", calibration: at("empty") }), /no images/],
    [
      "images of another size",
      () => ({ recipe: "gptq", calibration: at("images"), images: { ...images, crop: 4 } }),
      /input "x": it is 8 x 8 pixels, and images would become 4 x 4 pixels.*images\.crop=\[8,8\]/,
    ],
    [
      "a file of another kind",
      () => {
        writeFileSync(at("all.npz"), "PK");
        return { recipe: "gptq", calibration: at("all.npz") };
      },
      /all\.npz: this is no image .* and no file of tensors.*Next: write the array by itself: numpy\.save/,
    ],
    [
      "weights in fp64",
      () => ({
        recipe: "rtn",
        model: bad("double", {
          nodes: [{ operator: "MatMul", inputs: ["x", "w"], outputs: ["y"] }],
          constants: { w: { shape: [8, 2], dataType: 11, rawData: new Uint8Array(new Float64Array(16).buffer) } },
          ...{ inputs: { x: { dataType: "float64", shape: ["n", 8] } }, outputs: { y: "float64" } },
        }),
      }),
      /its weights are fp64.*Next: convert the network to fp32/,
    ],
    ["fp8", () => ({ recipe: "cbq", calibration: array, compute: { gradients: "fp8" } }), /fp8 is for/],
    ["a network that is not there", () => ({ recipe: "rtn", model: at("none.onnx") }), /can't be opened/],
    [
      "an operator that is not computed",
      () => ({ recipe: "rtn", model: bad("unknown", { nodes: [{ operator: "Foo", inputs: ["x"], outputs: ["y"] }] }) }),
      /does not compute the operator Foo/,
    ],
    [
      "two outputs",
      () => ({ recipe: "rtn", model: bad("two", { outputs: { y: "float32", b: "float32" } }) }),
      /2 outputs, and one is expected.*Next: export it with the one/,
    ],
    [
      "no layers",
      () => ({ recipe: "rtn", model: bad("none", { nodes: [{ operator: "Relu", inputs: ["x"], outputs: ["y"] }] }) }),
      /no layer to quantize/,
    ],
    [
      "weights that are no numbers",
      () => ({
        recipe: "rtn",
        model: bad("nan", {
          constants: {
            ...smallNetwork.constants,
            "head.weight": floats(
              Array.from({ length: 48 }, () => Number.NaN),
              [8, 6],
            ),
          },
        }),
      }),
      /"head\.weight".*NaN/,
    ],
    [
      "a batch of one size",
      () => ({
        recipe: "rtn",
        model: bad("fixed", {
          ...smallNetwork,
          nodes: [
            ...smallNetwork.nodes.slice(0, -2),
            { operator: "Reshape", inputs: ["pool", "shape"], outputs: ["flat"] },
            ...smallNetwork.nodes.slice(-1),
          ],
          constants: {
            ...smallNetwork.constants,
            shape: { ...someFloats([2]), dataType: 7, rawData: new Uint8Array(BigInt64Array.of(1n, 8n).buffer) },
          },
        }),
      }),
      /./,
    ],
  ])("%s", async (name, options, message) => {
    const out = `refused ${name}`;
    await expect(run(out, options())).rejects.toThrow(message);
    expect([existsSync(at(out)), existsSync(`${at(out)}.work`)]).toEqual([false, false]);
  });

  it("an image that does not decode", async () => {
    await writeImages(at("broken"), 6);
    for (const name of readdirSync(at("broken"))) {
      for (const file of readdirSync(join(at("broken"), name)))
        writeFileSync(join(at("broken"), name, file), "no image");
    }
    await expect(run("undecoded", { recipe: "gptq", calibration: at("broken"), images })).rejects.toThrow(
      /can't be decoded.*Next: take the file out of the folder/,
    );
    renameSync(at("broken"), at("was broken"));
  });

  it("options of images with a language model", async () => {
    await expect(run("text", { model: at("folder"), recipe: "gptq", images: { crop: 4 } })).rejects.toThrow(
      /"images\.crop".*only with an ONNX file/,
    );
  });
});
