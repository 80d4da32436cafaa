import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { OnnxContent } from "../../../src/checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { modelFile, writeQdq } from "../../../src/format/qdq/write.js";
import { knownValue } from "../../../src/network/graph/compute/known-value.js";
import { writeGraph } from "../../../src/network/graph/testing/small-graph.js";
import { GraphNetwork, readGraph } from "../../../src/network/index.js";
import { graphResult } from "./graph-result.js";
import { keyedGraph } from "./keyed-graph.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

describe("a file with ranges by time step", () => {
  // Zero is no step of it: what finds shapes has to take one that it knows. An open width gives tables for all examples at once.
  it.each([
    ["error", 6],
    ["error", "w"],
    ["nearest", 6],
  ] as const)("opens as a network again: %s, of %s", async (unknown, width) => {
    const source = join(folder.path, "source.onnx");
    writeGraph(source, keyedGraph("int64", width));
    const grid = { bits: 8, input: "t", keys: [500, 40], scales: [0.1, 0.2], zeroPoints: [3, 4], unknown };
    using result = graphResult(source, {
      schemeOf: () => ({ bits: 8, group: null, symmetric: true }),
      gridOf: (module) => (module === "second" ? grid : null),
      given: { x: [6], t: [] },
    });
    const out = mkdtempSync(join(folder.path, "out-"));
    await writeQdq({ ...result, folder: "elsewhere" }, out, { codes: "int4" });
    using content = OnnxContent.open(join(out, modelFile));
    const written = readGraph(content);
    const network = GraphNetwork.create(written, { x: [6], t: [] });
    expect(network.ports(1, network.units.length)).toEqual({ t: [], y: [4] });
    expect([knownValue(written, "t"), knownValue(written, "x")]).toEqual([unknown === "error" ? 40 : 0, 0]);
  });
});
