import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { cases, mutate, mutation, onlyTypedErrors, seed } from "../../checkpoint/testing/fuzz.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { liveHandles, Tensor } from "../../tensor/index.js";
import { GraphRunner } from "./compute/run-graph.js";
import { readGraph } from "./read-graph.js";
import { floats, integers, someFloats, writeGraph } from "./testing/small-graph.js";

describe(`hostile ONNX graphs (seed ${seed})`, () => {
  it(`give typed errors only, read and computed: ${cases} mutated files`, async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "model.onnx");
    writeGraph(file, {
      nodes: [
        { operator: "Conv", inputs: ["x", "w", "b"], attributes: { pads: [1, 1, 1, 1], strides: [2, 2], group: 1 } },
        { operator: "Clip", inputs: ["n0", "low", "high"] },
        { operator: "Shape", inputs: ["n1"] },
        { operator: "Slice", inputs: ["n2", "at", "to"] },
        { operator: "Concat", inputs: ["n3", "rest"], attributes: { axis: 0 } },
        { operator: "Reshape", inputs: ["n1", "n4"] },
        { operator: "Softmax", inputs: ["n5"], attributes: { axis: 1 } },
      ],
      constants: {
        w: someFloats([3, 2, 3, 3]),
        b: someFloats([3]),
        low: floats([-1], []),
        high: floats([1], []),
        at: integers([0]),
        to: integers([1]),
        rest: integers([-1]),
      },
      inputs: { x: { shape: ["n", 2, 5, 4] } },
    });
    const good = new Uint8Array(readFileSync(file));
    const numbers = new Float32Array(2 * 2 * 5 * 4).fill(0.5);
    const live = liveHandles();
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
        writeFileSync(file, mutate(good, mutations));
        await onlyTypedErrors(async () => {
          using content = OnnxContent.open(file);
          using runner = new GraphRunner(readGraph(content), { device: "cpu", dtype: "float32" });
          using x = Tensor.from(numbers, [2, 2, 5, 4]);
          for (const output of Object.values(runner.run({ x }))) output.dispose();
        });
        expect(liveHandles()).toBe(live);
      }),
      { numRuns: cases, seed },
    );
  });
});
