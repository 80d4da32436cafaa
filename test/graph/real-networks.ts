import { existsSync } from "node:fs";
import { join } from "node:path";
import { someNumbers } from "../../src/network/graph/testing/small-graph.js";
import type { OnnxRuntime } from "../../src/run/verify/runtime/onnx-runtime.js";
import type { Given } from "./against-onnxruntime.js";

/** Folder with networks that are no part of the repository, one folder each. */
const models = process.env["CROSSBLOCK_TEST_NETWORKS"] ?? "models/networks";

export function networkPath(file: string): string {
  return join(models, file);
}

/** Why no judge looks at a network; null where one does. */
export function whyUnjudged(runtime: OnnxRuntime | null, file: string): string | null {
  if (runtime === null) return "onnxruntime-node is not installed";
  const path = networkPath(file);
  return existsSync(path) ? null : `no ${path}; set CROSSBLOCK_TEST_NETWORKS`;
}

/** Images of numbers that look random. */
export function images(shape: readonly number[], scale: number, shift = 0): Given {
  const count = shape.reduce((product, size) => product * size, 1);
  return { values: Float32Array.from(someNumbers(count), (value) => value * scale + shift), shape };
}
