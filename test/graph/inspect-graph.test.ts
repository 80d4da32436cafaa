import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatInspection } from "../../src/cli/inspection-text.js";
import { operators } from "../../src/network/graph/operators/index.js";
import { someFloats, writeGraph } from "../../src/network/graph/testing/small-graph.js";
import { inspectJob } from "../../src/run/job/inspect-job.js";

let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-inspect-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const context = { emit: () => {}, poll: () => {}, signal: new AbortController().signal };

describe("inspect of an ONNX graph", () => {
  it("shows its tensors and the units that it is cut into", async () => {
    const file = join(scratch, "model.onnx");
    writeGraph(file, {
      nodes: [
        { operator: "Conv", inputs: ["x", "stem.weight"], outputs: ["a"] },
        { operator: "Conv", inputs: ["a", "deep.weight"], outputs: ["b"] },
        { operator: "Add", inputs: ["a", "b"] },
      ],
      constants: { "stem.weight": someFloats([4, 3, 1, 1]), "deep.weight": someFloats([4, 4, 1, 1]) },
      inputs: { x: { shape: ["n", 3, 5, 5] } },
    });
    const inspection = await inspectJob(file, context as never);
    expect(inspection).toMatchObject({ format: "onnx", family: "test", parameters: 28, bytes: 112, scheme: null });
    expect(inspection.units).toEqual([
      { index: 0, kind: "layer", layers: ["stem"], weights: 12, nodes: 1, reads: ["x"], writes: ["a"] },
      { index: 1, kind: "residual", layers: ["deep"], weights: 16, nodes: 2, reads: ["a"], writes: ["y"] },
    ]);
    const text = formatInspection(inspection, { tensors: false });
    expect(text).toMatch(/^unit {2}kind {6}operations {2}weights {2}reads {2}layers$/m);
    expect(text).toMatch(/^1 {5}residual {2}2 {11}16 {7}a {6}deep$/m);
  });

  it("has a page that lists every operator", () => {
    const page = readFileSync("docs/guide/graphs.md", "utf8");
    const listed = new Set(
      page
        .split("Operators:\n")[1]
        ?.split(".\n")[0]
        ?.split(/[\s,]+/),
    );
    expect([...operators.keys(), "Constant"].filter((name) => !listed.has(name))).toEqual([]);
    expect([...listed].filter((name) => name !== "" && name !== "Constant" && !operators.has(name))).toEqual([]);
  });
});
