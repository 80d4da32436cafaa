import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ImageNoise } from "../../../src/calibration/diffusion/image-noise.js";
import { sample } from "../../../src/calibration/diffusion/sample.js";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import { modelFile, writeQdq } from "../../../src/format/qdq/write.js";
import { GraphTensors } from "../../../src/network/index.js";
import { importOnnxRuntime } from "../../format/judge/onnx-runtime.js";
import {
  openSmallDiffusion,
  type QuantizedSmallDiffusion,
  quantizeSmallDiffusion,
  type SmallDiffusion,
} from "./small-diffusion.js";

const runtime = await importOnnxRuntime();
const none = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
const images = [0, 1, 2];

/** A result as a format writes it. */
function resultOf({ network, content }: SmallDiffusion, { delivered }: QuantizedSmallDiffusion): ExportSource {
  const tensors = new GraphTensors(network.cut);
  const { weights, inputGrids } = delivered;
  const layouts = [...weights].map(
    ([name, { codes: _, scales: __, zeroPoints: ___, ...layout }]) => [name, layout] as const,
  );
  return {
    config: {},
    folder: "elsewhere",
    linears: new Map(layouts),
    plain: new Map([...tensors.tensors].filter(([name]) => !weights.has(name.replace(/\.weight$/, "")))),
    activations: null,
    inputScales: new Map(),
    inputGrids,
    graph: { content, cut: network.cut },
    readQuantized: async (name) => delivered.weights.get(name) as never,
    readPlain: async (name) => delivered.plain.get(name) ?? tensors.readSync(name),
  };
}

describe.skipIf(runtime === null)(`a sampler through onnxruntime${none}`, () => {
  it.each(["W8A8", "W4A8"])("makes of the written file the images that the simulation makes: %s", async (scheme) => {
    if (runtime === null) throw new Error("there is no judge");
    using folder = temporaryFolder();
    using net = openSmallDiffusion(folder.path);
    const made = quantizeSmallDiffusion(net, "tfmq", scheme, {
      finish: "none",
      tfmq: { epochs: 2, temporalSteps: 10 },
    });
    await writeQdq(resultOf(net, made), folder.path, { codes: "int4" });
    // By default onnxruntime rounds what enters a product with integers to 8 bits on its own, once more than the file says.
    const exact = { extra: { session: { qdq_matmulnbits_accuracy_level: "1" } } };
    const session = await runtime.InferenceSession.create(join(folder.path, modelFile), {
      logSeverityLevel: 3,
      ...exact,
    });
    const way = sample(net.sampler, new ImageNoise(5, images, 72));
    let turn = way.next();
    while (turn.done !== true) {
      const { x, time } = turn.value;
      const t = BigInt64Array.from(images, () => BigInt(time));
      const result = await session.run({
        x: new runtime.Tensor("float32", x, [images.length, 2, 6, 6]),
        t: new runtime.Tensor("int64", t, [images.length]),
      });
      turn = way.next(Float32Array.from(result["y"]?.data as Float32Array));
    }
    const wanted = made.simulated((predict) => {
      const ours = sample(net.sampler, new ImageNoise(5, images, 72));
      let step = ours.next();
      while (step.done !== true) step = ours.next(Float32Array.from(predict(step.value.x, step.value.time, images)));
      return step.value;
    });
    // Sums are rounded in another order, and what lies between two codes may fall to either.
    const size = Math.sqrt(wanted.reduce((sum, value) => sum + value ** 2, 0));
    const apart = Math.sqrt(
      wanted.reduce((sum, value, i) => sum + (value - ((turn.value as Float32Array)[i] ?? 0)) ** 2, 0),
    );
    expect(apart / size).toBeLessThan(0.01);
    const unknown = BigInt64Array.from(images, () => 399n);
    const strange = session.run({
      x: new runtime.Tensor("float32", new Float32Array(216), [images.length, 2, 6, 6]),
      t: new runtime.Tensor("int64", unknown, [images.length]),
    });
    await expect(strange).rejects.toThrow(/Gather/);
  });
});
