import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DataType } from "../../../src/checkpoint/onnx/schema.js";
import { encodeRows } from "../../../src/format/onnx/encode.js";
import { CONTRIB, GraphBuilder } from "../../../src/format/onnx/graph/graph-builder.js";
import { BLOCK_SIZES, type Container, type QuantizedPart, rowBytes } from "../../../src/format/onnx/layout.js";
import { decodedValues } from "../../../src/format/source/decoded-source.js";
import type { QuantizedWeight } from "../../../src/quant/quantized-weight.js";
import { roundToNearest } from "../rtn-source.js";
import { importOnnxRuntime } from "./onnx-runtime.js";

const runtime = await importOnnxRuntime();
const missing = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-onnx-kernels-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** A file with one MatMulNBits, scales as fp16 behind a Cast. */
function writeKernel(weight: QuantizedWeight, container: Container, accuracyLevel: number): string {
  const file = join(mkdtempSync(join(scratch, "kernel-")), "model.onnx");
  const g = new GraphBuilder();
  const { rows, columns } = weight;
  const pieces: Uint8Array[] = [];
  let offset = 0;
  const part = (name: QuantizedPart, dataType: DataType, shape: readonly number[]): string => {
    const bytes = encodeRows(weight, container, name, 0, rows);
    const padding = new Uint8Array(-bytes.length & 63);
    pieces.push(bytes, padding);
    g.external(name, dataType, [rows, ...shape], { location: "model.onnx_data", offset, byteLength: bytes.length });
    offset += bytes.length + padding.length;
    return name;
  };
  const { bits, blockSize, blocks } = container;
  const codes = part("codes", "uint8", [blocks, (blockSize * bits) / 8]);
  const scales = g.node("wide", "Cast", [part("scales", "float16", [blocks])], { attributes: { to: 1 } });
  const zeroPoints = container.zeroPoints ? [part("zeroPoints", "uint8", [rowBytes(container, "zeroPoints")])] : [];
  g.input("x", "float32", ["tokens", columns]);
  g.node("y", "MatMulNBits", ["x", codes, scales, ...zeroPoints], {
    domain: CONTRIB,
    attributes: { K: columns, N: rows, bits, block_size: blockSize, accuracy_level: accuracyLevel },
  });
  g.output("y", "float32", ["tokens", rows]);
  writeFileSync(file, g.encode("kernel", new Map()));
  writeFileSync(`${file}_data`, Buffer.concat(pieces));
  return file;
}

/** `x W^T` in fp64. */
function product(x: Float32Array, weight: QuantizedWeight): Float64Array {
  const { rows, columns } = weight;
  const values = decodedValues(weight);
  return Float64Array.from({ length: (x.length / columns) * rows }, (_, i) => {
    const [token, row] = [Math.floor(i / rows), i % rows];
    let sum = 0;
    for (let k = 0; k < columns; k++) sum += (x[token * columns + k] ?? 0) * (values[row * columns + k] ?? 0);
    return sum;
  });
}

describe.skipIf(runtime === null)(`onnxruntime's kernels take all that we write${missing}`, () => {
  it.each([2, 4, 8] as const)("%i bits, all block sizes, odd shapes, with and without zero points", async (bits) => {
    if (runtime === null) return;
    const noise = (i: number): number => ((Math.imul(i + 1, 2654435761) >>> 8) % 2001) / 1000 - 1;
    for (const blockSize of BLOCK_SIZES) {
      for (const [rows, columns] of [
        [24, 384],
        [7, 300],
        [1, 16],
      ] as const) {
        for (const symmetric of [true, false]) {
          const groupSize = columns % blockSize === 0 ? blockSize : columns;
          const layout = { bits, groupSize, perChannel: groupSize === columns, symmetric, rows, columns };
          const weight = roundToNearest(
            Float32Array.from({ length: rows * columns }, (_, i) => noise(i)),
            layout,
          );
          const container = { bits, blockSize, blocks: Math.ceil(columns / blockSize), zeroPoints: !symmetric };
          const x = Float32Array.from({ length: 3 * columns }, (_, i) => noise(i + 77));
          const expected = product(x, weight);
          const power = expected.reduce((sum, value) => sum + value ** 2, 0);
          for (const [level, limit] of [
            [0, 1e-5],
            [4, 0.05],
          ] as const) {
            const session = await runtime.InferenceSession.create(writeKernel(weight, container, level), {});
            const { y } = await session.run({ x: new runtime.Tensor("float32", x, [3, columns]) });
            const found = (y?.data ?? new Float32Array(0)) as Float32Array;
            expect(found.length).toBe(expected.length);
            const error = found.reduce((sum, value, i) => sum + (value - (expected[i] ?? 0)) ** 2, 0);
            const where = `blocks of ${blockSize}, ${rows} x ${columns}, ${symmetric}, level ${level}`;
            expect(Math.sqrt(error / power), where).toBeLessThan(limit);
            await session.release();
          }
        }
      }
    }
  });
});
