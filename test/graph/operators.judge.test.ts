import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { operators } from "../../src/network/graph/operators/index.js";
import { someNumbers, type TestGraph, writeGraph } from "../../src/network/graph/testing/small-graph.js";
import { liveHandles } from "../../src/tensor/index.js";
import { importOnnxRuntime } from "../format/judge/onnx-runtime.js";
import { expectSame, type Given, judged, ours } from "./against-onnxruntime.js";
import { operatorCases } from "./operator-cases.js";
import { quantizationCases } from "./quantization-cases.js";
import { selectionCases } from "./selection-cases.js";

const cases = [...operatorCases, ...quantizationCases, ...selectionCases];

const runtime = await importOnnxRuntime();
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-operators-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.skipIf(runtime === null)(
  `operators give what onnxruntime gives${runtime === null ? " (skipped: onnxruntime-node is not installed)" : ""}`,
  () => {
    const compared = async (title: string, graph: TestGraph): Promise<"same" | "refused"> => {
      const file = join(scratch, `${title.replace(/\W+/g, "-")}.onnx`);
      writeGraph(file, graph);
      const inputs = Object.fromEntries(
        Object.entries(graph.inputs).map(([name, { shape, dataType }], i): [string, Given] => {
          const sizes = shape.map((size) => (typeof size === "number" ? size : 2));
          const numbers = someNumbers(
            sizes.reduce((product, size) => product * size, 1),
            i + 1,
          );
          return dataType === "int64"
            ? [name, { values: BigInt64Array.from(numbers, (n) => BigInt(Math.round(n * 3))), shape: sizes }]
            : [name, { values: Float32Array.from(numbers), shape: sizes }];
        }),
      );
      if (runtime === null) throw new Error("there is no judge");
      const wanted = await judged(runtime, file, inputs).catch(() => null);
      if (wanted === null) return "refused";
      const live = liveHandles();
      const actual = ours(file, inputs);
      expect(liveHandles()).toBe(live);
      for (const name of Object.keys(wanted)) expectSame(actual[name], wanted[name]);
      return "same";
    };

    it.each(cases.map(({ title, graph }) => [title, graph] as const))("%s", async (title, graph) => {
      expect(await compared(title, graph)).toBe("same");
    });

    it("do so in the newest version that is read", async () => {
      const usual = cases.filter(({ graph }) => graph.opset === undefined);
      const refused: string[] = [];
      for (const { title, graph } of usual) {
        if ((await compared(`${title} v24`, { ...graph, opset: 24 })) === "refused") refused.push(title);
      }
      // From version 18 on it has to say how many parts there are.
      expect(refused).toEqual(["Split [2,4,7,6] axis=1"]);
    });

    it("is asked about every operator", () => {
      const asked = new Set(cases.flatMap(({ graph }) => graph.nodes.map(({ operator }) => operator)));
      expect([...operators.keys()].filter((name) => !asked.has(name))).toEqual([]);
    });
  },
);
