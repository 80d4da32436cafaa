import type { InferenceSession } from "onnxruntime-node";
import { expect } from "vitest";
import { OnnxContent } from "../../src/checkpoint/onnx/onnx-content.js";
import { GraphRunner } from "../../src/network/graph/compute/run-graph.js";
import { readGraph } from "../../src/network/graph/read-graph.js";
import type { OnnxRuntime } from "../../src/run/verify/runtime/onnx-runtime.js";
import { Tensor, type TypedArray } from "../../src/tensor/index.js";
import { on, testDevice } from "../../src/tensor/testing/test-device.js";

/** Numbers for an input of a graph. */
export interface Given {
  readonly values: Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;
  readonly shape: readonly number[];
}

/** What a graph gives. */
export interface Output {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

/** What onnxruntime makes of the file. */
export async function judged(
  runtime: OnnxRuntime,
  file: string,
  inputs: Readonly<Record<string, Given>>,
  options: InferenceSession.SessionOptions = {},
): Promise<Readonly<Record<string, Output>>> {
  const session = await runtime.InferenceSession.create(file, { logSeverityLevel: 3, ...options });
  const feeds = Object.entries(inputs).map(([name, { values, shape }]) => [
    name,
    new runtime.Tensor(values instanceof Float32Array ? "float32" : "int64", values as Float32Array, [...shape]),
  ]);
  const results = await session.run(Object.fromEntries(feeds));
  return Object.fromEntries(
    Object.entries(results).map(([name, { data, dims }]) => [
      name,
      { shape: dims, values: numbers(data as TypedArray) },
    ]),
  );
}

/** What crossblock makes of it. */
export function ours(file: string, inputs: Readonly<Record<string, Given>>): Readonly<Record<string, Output>> {
  using content = OnnxContent.open(file);
  using runner = new GraphRunner(readGraph(content), { device: testDevice, dtype: "float32" });
  const given = Object.entries(inputs).map(
    ([name, { values, shape }]) => [name, Tensor.from(values, shape, on)] as const,
  );
  try {
    const results = runner.run(Object.fromEntries(given));
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => {
        const output = { shape: tensor.shape, values: numbers(tensor.toArray()) };
        tensor.dispose();
        return [name, output];
      }),
    );
  } finally {
    for (const [, tensor] of given) tensor.dispose();
  }
}

/** Both are of one shape, and differ by at most `tolerance` times the largest magnitude. */
export function expectSame(actual: Output | undefined, wanted: Output | undefined, tolerance = 1e-4): void {
  expect(actual?.shape).toEqual(wanted?.shape);
  const [a, b] = [actual?.values ?? new Float64Array(0), wanted?.values ?? new Float64Array(0)];
  expect(b.length).toBeGreaterThan(0);
  const magnitude = b.reduce((most, value) => Math.max(most, Number.isFinite(value) ? Math.abs(value) : 0), 1e-6);
  const difference = a.reduce((most, value, i) => {
    const other = b[i] ?? Number.NaN;
    return value === other || (Number.isNaN(value) && Number.isNaN(other))
      ? most
      : Math.max(most, Math.abs(value - other));
  }, 0);
  expect(difference / magnitude).toBeLessThan(tolerance);
}

function numbers(values: TypedArray): Float64Array {
  return Float64Array.from(values as Iterable<number | bigint>, Number);
}
