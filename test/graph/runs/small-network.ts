import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import {
  someFloats,
  someNumbers,
  type TestGraph,
  type TestNode,
  writeGraph,
} from "../../../src/network/graph/testing/small-graph.js";

const conv = (from: string, to: string, group = 1): TestNode => ({
  operator: "Conv",
  inputs: [from, `${to}.weight`, `${to}.bias`],
  outputs: [to],
  attributes: { pads: [1, 1, 1, 1], group },
});
const op = (operator: string, to: string, ...inputs: string[]): TestNode => ({ operator, inputs, outputs: [to] });

/** Classes that it tells. */
export const CLASSES = 6;

/** A stem with a batch norm, a residual block with a depthwise convolution, and a head: images of 8 x 8 pixels. */
export const smallNetwork: TestGraph = {
  nodes: [
    conv("x", "stem"),
    {
      operator: "BatchNormalization",
      inputs: ["stem", "gain", "shift", "mean", "variance"],
      outputs: ["norm"],
      name: "norm",
    },
    op("Relu", "a", "norm"),
    conv("a", "deep", 8),
    op("Relu", "d", "deep"),
    conv("d", "out"),
    op("Add", "sum", "out", "a"),
    op("Relu", "b", "sum"),
    op("GlobalAveragePool", "pool", "b"),
    op("Flatten", "flat", "pool"),
    op("Gemm", "y", "flat", "head.weight", "head.bias"),
  ],
  constants: {
    "stem.weight": someFloats([8, 3, 3, 3], 1),
    "stem.bias": someFloats([8], 11),
    gain: someFloats([8], 12),
    shift: someFloats([8], 13),
    mean: someFloats([8], 14),
    variance: positive(8),
    "deep.weight": someFloats([8, 1, 3, 3], 2),
    "deep.bias": someFloats([8], 15),
    "out.weight": someFloats([8, 8, 3, 3], 3),
    "out.bias": someFloats([8], 16),
    "head.weight": someFloats([8, CLASSES], 4),
    "head.bias": someFloats([CLASSES], 5),
  },
  inputs: { x: { shape: ["n", 3, 8, 8] } },
};

function positive(count: number): ReturnType<typeof someFloats> {
  const values = Float32Array.from(someNumbers(count, 17), (value) => 1 + value * value);
  return { ...someFloats([count]), rawData: new Uint8Array(values.buffer) };
}

/** Writes it as `net.onnx` into a folder; returns its path. */
export function writeSmallNetwork(folder: string, graph: TestGraph = smallNetwork): string {
  const file = join(folder, "net.onnx");
  writeGraph(file, graph);
  return file;
}

/** Writes PNG images of 8 x 8 pixels, in folders of their classes: `FOLDER/0/3.png`. */
export async function writeImages(folder: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const place = join(folder, String(i % CLASSES));
    mkdirSync(place, { recursive: true });
    const pixels = Uint8Array.from(someNumbers(8 * 8 * 3, i + 1), (value) => Math.round(127 + 120 * value));
    await sharp(pixels, { raw: { width: 8, height: 8, channels: 3 } })
      .png()
      .toFile(join(place, `${i}.png`));
  }
}

/** Writes examples as numpy.save does, `[count, 3, 8, 8]`, the last number as it is given; returns the path. */
export function writeArray(folder: string, count: number, last?: number): string {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${count}, 3, 8, 8), }`;
  const header = `${text.padEnd(117)}\n`;
  const numbers = Float32Array.from(someNumbers(count * 3 * 64, 9));
  if (last !== undefined) numbers[numbers.length - 1] = last;
  const data = new Uint8Array(numbers.buffer);
  const file = join(folder, last === undefined ? "examples.npy" : "with-last.npy");
  const start = Buffer.from("\x93NUMPY\x01\x00", "latin1");
  writeFileSync(file, Buffer.concat([start, Buffer.from([header.length, 0]), Buffer.from(header, "latin1"), data]));
  return file;
}
