import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OnnxContent } from "../../../src/checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { GraphRunner, readGraph } from "../../../src/network/index.js";
import { Tensor } from "../../../src/tensor/index.js";
import { crossblockHere } from "../../fixtures/in-process/cli-in-process.js";
import { CLASSES, smallNetwork, writeImages, writeSmallNetwork } from "./small-network.js";

/** The part of @huggingface/transformers that the judge uses. */
interface TransformersJs {
  readonly env: { localModelPath: string; allowRemoteModels: boolean; allowLocalModels: boolean };
  pipeline(task: string, model: string, options: object): Promise<Classifier>;
  readonly RawImage: new (data: Uint8ClampedArray, width: number, height: number, channels: number) => object;
}
type Classifier = ((image: object, options: object) => Promise<readonly { label: string; score: number }[]>) & {
  dispose(): Promise<void>;
};

const transformers = await importTransformersJs();
const folder = temporaryFolder();
const at = (...names: string[]): string => join(folder.path, ...names);

/** The small network under the names that models of images have on the Hub. */
const classifier = {
  ...smallNetwork,
  nodes: smallNetwork.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (name === "x" ? "pixel_values" : name)),
    ...(node.outputs?.[0] === "y" && { outputs: ["logits"] }),
  })),
  inputs: { pixel_values: { shape: ["batch", 3, 8, 8] } },
  outputs: { logits: "float32" },
} as const;
const names = Array.from({ length: CLASSES }, (_, i) => `kind ${i}`);
const config = {
  model_type: "resnet",
  architectures: ["ResNetForImageClassification"],
  id2label: Object.fromEntries(names.map((name, i) => [i, name])),
};
const preprocessor = {
  image_processor_type: "ViTImageProcessor",
  ...{ do_resize: true, size: { height: 8, width: 8 }, resample: 2, do_rescale: true, rescale_factor: 1 / 255 },
  ...{ do_normalize: true, image_mean: [0.5, 0.5, 0.5], image_std: [0.25, 0.25, 0.25] },
};

beforeAll(async () => {
  for (const place of ["net", "hub/onnx"]) mkdirSync(at(place), { recursive: true });
  await writeImages(at("images"), 20);
  for (const [graph, beside] of [
    ["net", "net"],
    ["hub/onnx", "hub"],
  ] as const) {
    writeSmallNetwork(at(graph), classifier);
    writeFileSync(at(beside, "config.json"), JSON.stringify(config));
    writeFileSync(at(beside, "preprocessor_config.json"), JSON.stringify(preprocessor));
    writeFileSync(at(beside, "labels.txt"), names.join("\n"));
    writeFileSync(at(beside, "taxes.txt"), "of nobody's concern");
  }
});
afterAll(() => folder[Symbol.dispose]());

const quantize = (source: string, out: string, ...more: string[]): ReturnType<typeof crossblockHere> =>
  crossblockHere([
    ...[
      "quantize",
      at(source),
      "--recipe",
      "gptq",
      "--scheme",
      "W4A16",
      "--calibration",
      at("images"),
      "--out",
      at(out),
    ],
    ...more,
  ]);
const COPIED = ["config.json", "labels.txt", "preprocessor_config.json"];

describe("files beside an ONNX network that say what it is", () => {
  it.each([
    ["net/net.onnx", "out"],
    ["hub/onnx/net.onnx", "from-hub"],
  ])("of %s go along with the result, and nothing else", async (source, out) => {
    const { code, stderr } = await quantize(source, out);
    expect([code, stderr]).toEqual([0, expect.not.stringContaining("nothing says what images become")]);
    expect(readdirSync(at(out)).sort()).toEqual(
      ["README.md", "crossblock.json", "model.onnx", "report.html", ...COPIED].sort(),
    );
    expect(readFileSync(at(out, "config.json"), "utf8")).toBe(JSON.stringify(config));
    const { copied } = JSON.parse(readFileSync(at(out, "crossblock.json"), "utf8"));
    expect(Object.keys(copied).sort()).toEqual(COPIED);
    const inspected = await crossblockHere(["inspect", at(out)]);
    expect([inspected.code, inspected.stdout]).toEqual([0, expect.stringContaining("W4A16")]);
  });

  it("are missed where one is gone, and one that was changed stays when the result is replaced", async () => {
    rmSync(at("from-hub", "labels.txt"));
    const damaged = await quantize("hub/onnx/net.onnx", "from-hub");
    expect(damaged.stderr).toMatch(/labels\.txt is gone/);
    writeFileSync(at("from-hub", "config.json"), JSON.stringify({ ...config, own: true }));
    expect((await quantize("hub/onnx/net.onnx", "from-hub", "--force")).code).toBe(0);
    expect(readFileSync(at("from-hub", "config.json"), "utf8")).toBe(JSON.stringify(config));
    const kept = readdirSync(folder.path).filter(
      (name) => existsSync(at(name, "config.json")) && !/^(net|hub|out|from-hub)$/.test(name),
    );
    expect(kept.map((name) => JSON.parse(readFileSync(at(name, "config.json"), "utf8")).own)).toEqual([true]);
  });

  it.skipIf(transformers === null)("let transformers.js run the result", async () => {
    const { env, pipeline, RawImage } = transformers as TransformersJs;
    Object.assign(env, { localModelPath: `${folder.path}/`, allowRemoteModels: false, allowLocalModels: true });
    // onnxruntime rounds the inputs of products with 4 bits to 8 unless it is told not to.
    const session_options = { extra: { session: { qdq_matmulnbits_accuracy_level: "1" } } };
    const options = { subfolder: "", dtype: "fp32", device: "cpu", session_options };
    const classify = await pipeline("image-classification", "out", options);
    const bytes = Uint8ClampedArray.from({ length: 8 * 8 * 3 }, (_, i) => (i * 37) % 256);
    const found = await classify(new RawImage(bytes, 8, 8, 3), { top_k: CLASSES });
    await classify.dispose();
    const own = ours(bytes);
    expect(found.map(({ label }) => label).sort()).toEqual(names);
    for (const { label, score } of found) expect(score).toBeCloseTo(own[names.indexOf(label)] as number, 4);
  });
});

/** What the result's file gives of these pixels, by crossblock: probabilities. */
function ours(bytes: Uint8ClampedArray): readonly number[] {
  using content = OnnxContent.open(at("out", "model.onnx"));
  using runner = new GraphRunner(readGraph(content), { device: "cpu", dtype: "float32" });
  const pixels = Float32Array.from({ length: bytes.length }, (_, i) => {
    const [channel, place] = [Math.floor(i / 64), i % 64];
    return ((bytes[3 * place + channel] as number) / 255 - 0.5) / 0.25;
  });
  const x = Tensor.from(pixels, [1, 3, 8, 8]);
  const { logits } = runner.run({ pixel_values: x });
  const values = Array.from(logits?.softmax(-1).toFloat32Array() ?? []);
  for (const tensor of [x, logits]) tensor?.dispose();
  return values;
}

async function importTransformersJs(): Promise<TransformersJs | null> {
  const name = "@huggingface/transformers";
  try {
    return (await import(name)) as TransformersJs;
  } catch {
    return null;
  }
}
