// The same images by onnxruntime-node from the file that a result is written as.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageNoise } from "../../dist/calibration/diffusion/image-noise.js";
import { sample } from "../../dist/calibration/diffusion/sample.js";
import { modelFile, writeQdq } from "../../dist/format/qdq/write.js";
import { GraphTensors } from "../../dist/network/index.js";

/** @returns images `[images, ...shape]` of a quantized network, sampled by onnxruntime from the written file */
export async function sampledInOnnxRuntime(net, { content, job, kept }, { images, seed, batch }) {
  const imported = await import("onnxruntime-node");
  const { InferenceSession, Tensor } = imported.default ?? imported;
  const folder = mkdtempSync(join(tmpdir(), "crossblock-tfmq-"));
  try {
    await writeQdq(resultOf(content, job, kept), folder, { codes: "int4" });
    const session = await InferenceSession.create(join(folder, modelFile), {
      logSeverityLevel: 3,
      intraOpNumThreads: 1,
      extra: { session: { qdq_matmulnbits_accuracy_level: "1" } },
    });
    const size = net.shape.reduce((product, each) => product * each, 1);
    const results = new Float32Array(images * size);
    const conditions = net.conditions(images);
    for (let first = 0; first < images; first += batch) {
      const numbers = Array.from({ length: Math.min(batch, images - first) }, (_, i) => first + i);
      const way = sample(net.sampler, new ImageNoise(seed, numbers, size));
      let turn = way.next();
      while (turn.done !== true) {
        const { x, time } = turn.value;
        const single = ({ name, dataType }, values) => {
          const type = dataType === "int64" ? "int64" : "float32";
          const data = type === "int64" ? BigInt64Array.from(values, BigInt) : Float32Array.from(values);
          return [name, new Tensor(type, data, [values.length])];
        };
        const times = numbers.map(() => time);
        const others = net.inputs.conditions.map((input) =>
          single(
            input,
            numbers.map((i) => conditions[input.name][i]),
          ),
        );
        const made = await session.run({
          [net.inputs.sample.name]: new Tensor("float32", x, [numbers.length, ...net.shape]),
          ...Object.fromEntries([single(net.inputs.time, times), ...others]),
        });
        turn = way.next(Float32Array.from(made[net.graph.outputs[0].name].data));
      }
      results.set(turn.value, first * size);
    }
    await session.release();
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a job delivered, as a format writes it. */
function resultOf(content, job, kept) {
  const { cut } = job.network;
  const tensors = new GraphTensors(cut);
  const linears = new Map(
    [...kept.weights].map(([module, { rows, columns, bits, groupSize, perChannel, symmetric }]) => [
      module,
      { rows, columns, bits, groupSize, perChannel, symmetric },
    ]),
  );
  const constant = [...kept.weights.keys()].flatMap((module) => {
    const scale = kept.activationOf(module);
    const grid = { bits: job.scheme.activationBits, scale, zeroPoint: kept.zeroPointOf(module) };
    return scale === null ? [] : [[module, grid]];
  });
  return {
    config: {},
    folder: "elsewhere",
    linears,
    plain: new Map([...tensors.tensors].filter(([name]) => !kept.weights.has(name.replace(/\.weight$/, "")))),
    activations: null,
    inputScales: new Map(),
    inputGrids: new Map([...constant, ...kept.inputGrids]),
    graph: { content, cut },
    readQuantized: async (module) => kept.readLinear(module),
    readPlain: async (name) => kept.readPlain(name) ?? tensors.readSync(name),
  };
}
