import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeMessage } from "../../../src/checkpoint/onnx/encode-message.js";
import { joinedBytes, lengthField, rawFields } from "../../../src/checkpoint/onnx/raw-message.js";
import { GRAPH, MODEL, NODE, TENSOR } from "../../../src/checkpoint/onnx/schema.js";
import { CrossblockError } from "../../../src/errors.js";
import { exporters } from "../../../src/format/exporters.js";
import { modelFile } from "../../../src/format/qdq/write.js";
import { integers, someFloats } from "../../../src/network/graph/testing/small-graph.js";
import { verdicts, writtenStrange } from "./strange-graph.js";

let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-qdq-damage-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The same file with the graph's fields changed. */
function changed(
  path: string,
  edit: (fields: { number: number; bytes: Uint8Array; content: Uint8Array }) => readonly Uint8Array[],
): string {
  const bytes = readFileSync(path);
  const parts = rawFields(bytes, path).flatMap(({ number, bytes: whole, content }) =>
    number === MODEL.graph.number
      ? lengthField(
          number,
          rawFields(content, path).flatMap((field) => edit(field)),
        )
      : [whole],
  );
  const other = join(mkdtempSync(join(scratch, "changed-")), modelFile);
  writeFileSync(other, joinedBytes(parts));
  return other;
}

describe("a QDQ file that somebody changed", () => {
  it.each<readonly [string, (path: string) => string, string, RegExp]>([
    [
      "a node more",
      (path) =>
        changed(path, ({ number, bytes }) => [
          bytes,
          ...(number === GRAPH.name.number
            ? lengthField(
                GRAPH.nodes.number,
                encodeMessage(NODE, { inputs: ["x"], outputs: ["z"], operator: "Relu", name: "extra" }),
              )
            : []),
        ]),
      "graph",
      /a node "extra" \(Relu\) that the source has not/,
    ],
    [
      "another operator",
      (path) =>
        changed(path, ({ number, bytes }) => {
          const text = Buffer.from(bytes).toString("latin1");
          return [
            number === GRAPH.nodes.number && text.includes("Relu")
              ? Buffer.from(text.replace("Relu", "Tanh"), "latin1")
              : bytes,
          ];
        }),
      "graph",
      /its node "Relu:a" has other attributes/,
    ],
    [
      "another constant",
      (path) =>
        changed(path, ({ number, bytes, content }) => {
          const name = number === GRAPH.initializers.number ? Buffer.from(content).toString("latin1") : "";
          if (!name.includes("axes")) return [bytes];
          return lengthField(number, encodeMessage(TENSOR, { ...integers([2, 1]), name: "axes" }));
        }),
      "graph",
      /its constant "axes" has other numbers/,
    ],
    [
      "a scale",
      (path) =>
        changed(path, ({ number, bytes, content }) => {
          const text = number === GRAPH.initializers.number ? Buffer.from(content).toString("latin1") : "";
          if (!text.includes("stem.weight_scale")) return [bytes];
          return lengthField(number, encodeMessage(TENSOR, { ...someFloats([4], 77), name: "stem.weight_scale" }));
        }),
      "stem",
      /scale [-0-9.e]+ instead of [-0-9.e]+ at row 0, group 0/,
    ],
  ])("is told: %s", async (_, damage, name, detail) => {
    using it = await writtenStrange(scratch, false);
    const found = await verdicts(damage(it.path), it.result);
    const wrong = found.filter(({ status }) => status !== "same");
    expect(wrong.map((check) => check.name)).toEqual([name]);
    expect(wrong[0]?.detail).toMatch(detail);
  });

  it("throws nothing but typed errors, whatever bytes are wrong", async () => {
    using it = await writtenStrange(scratch, true);
    const whole = readFileSync(it.path);
    const file = join(mkdtempSync(join(scratch, "fuzz-")), modelFile);
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    let refused = 0;
    for (let round = 0; round < 400; round++) {
      const bytes = Buffer.from(whole);
      for (let i = 0; i <= random(4); i++) bytes[random(bytes.length)] = random(256);
      writeFileSync(file, round % 5 === 0 ? bytes.subarray(0, random(bytes.length)) : bytes);
      try {
        using opened = await exporters.qdq.open(file);
        for await (const _ of opened.inspect());
        for await (const _ of opened.check(it.result));
      } catch (error) {
        expect(error).toBeInstanceOf(CrossblockError);
        expect((error as CrossblockError).next).not.toBe("");
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(50);
  });
});
