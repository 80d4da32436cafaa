import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OnnxContent } from "../../../src/checkpoint/onnx/onnx-content.js";
import { rawFields } from "../../../src/checkpoint/onnx/raw-message.js";
import { GRAPH, MODEL } from "../../../src/checkpoint/onnx/schema.js";
import { defaultExportOptions } from "../../../src/format/contract/export-options.js";
import { exporters, formatNames, recogniseExport } from "../../../src/format/exporters.js";
import { modelFile, writeQdq } from "../../../src/format/qdq/write.js";
import { type Made, verdicts, writtenStrange } from "./strange-graph.js";

let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-qdq-file-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const made = (fold: boolean, plain?: ReadonlyMap<string, Uint8Array>): Promise<Made & Disposable> =>
  writtenStrange(scratch, fold, plain);

describe("a QDQ file", () => {
  it("keeps what it does not change byte for byte, fields that nobody knows included", async () => {
    using it = await made(false);
    const [source, written] = [it.result.graph.content.bytes, readFileSync(it.path)];
    const of = (bytes: Uint8Array, numbers: readonly number[]): readonly string[] =>
      rawFields(
        rawFields(bytes, "").find(({ number }) => number === MODEL.graph.number)?.content ?? new Uint8Array(0),
        "",
      )
        .filter(({ number }) => numbers.includes(number))
        .map(({ bytes: field }) => Buffer.from(field).toString("hex"));
    const nodes = of(written, [GRAPH.nodes.number]);
    // The Constant that held codes' floats is gone, the layers read other values; all others are the same bytes.
    expect(of(source, [GRAPH.nodes.number]).filter((node) => !nodes.includes(node))).toHaveLength(3);
    const tensors = of(written, [GRAPH.initializers.number]);
    expect(of(source, [GRAPH.initializers.number]).filter((tensor) => !tensors.includes(tensor))).toHaveLength(1);
    expect(of(written, [78])).toEqual(of(source, [78]));
    const text = written.toString("latin1");
    expect(text.split("of a node").length - 1).toBe(6);
    expect(text.split("of a tensor").length - 1).toBe(8);
    expect([text.includes("of the graph"), text.includes("of the model")]).toEqual([true, true]);
  });

  it.each([false, true])(
    "is the result's, layer by layer, and the source's beside that; batch norms folded: %s",
    async (fold) => {
      using it = await made(fold);
      const found = await verdicts(it.path, it.result);
      expect(found.map(({ name, status, detail }) => [name, status, detail])).toEqual([
        ["graph", "same", undefined],
        ...(fold ? [["stem.bias.folded", "same", undefined]] : []),
        ["stem", "same", undefined],
        ["head", "same", undefined],
      ]);
      expect(found.at(-1)?.hash?.codes).toMatch(/^[0-9a-f]{64}$/);
      using opened = await exporters.qdq.open(it.path);
      expect(opened.bytes).toBe(opened.plannedBytes(it.result));
      expect(opened.scheme).toBe("W4A16");
      expect(opened.madeWith(defaultExportOptions)).toBe(true);
      expect(opened.madeWith({ ...defaultExportOptions, qdqCodes: "int8" })).toBe(false);
    },
  );

  it("is written in the same bytes each time, and where tensors lie outside computes the same", async () => {
    using it = await made(true);
    using again = await made(true);
    expect(readFileSync(it.path).equals(readFileSync(again.path))).toBe(true);
    const out = mkdtempSync(join(scratch, "out-"));
    await writeQdq({ ...it.result, folder: "elsewhere" }, out, { codes: "int4", maxInlineBytes: 100 });
    using inside = OnnxContent.open(it.path);
    using outside = OnnxContent.open(join(out, modelFile));
    expect([...outside.tensors.keys()]).toEqual([...inside.tensors.keys()]);
    for (const name of inside.tensors.keys()) expect([...outside.readBytes(name)]).toEqual([...inside.readBytes(name)]);
  });

  it("takes floats that the result has otherwise", async () => {
    const bias = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
    using it = await made(false, new Map([["deep.bias", bias]]));
    using content = OnnxContent.open(it.path);
    expect([...content.readBytes("deep.bias")]).toEqual([...bias]);
    const found = await verdicts(it.path, it.result);
    expect(found.map(({ name, status }) => [name, status])).toEqual([
      ["graph", "same"],
      ["deep.bias", "same"],
      ["stem", "same"],
      ["head", "same"],
    ]);
    // Against a result without it, it is an alien number.
    using other = await made(false);
    const against = await verdicts(it.path, other.result);
    expect(against[1]).toMatchObject({ name: "deep.bias", status: "different" });
  });

  it("is recognised and shown by inspect", async () => {
    using it = await made(true);
    expect(await recogniseExport(it.path)).toEqual({ format: "qdq", path: it.path });
    expect(await exporters.qdq.find(join(it.path, ".."))).toBe(it.path);
    expect(await exporters.qdq.find(it.result.graph.content.file)).toBeNull();
    using opened = await exporters.qdq.open(it.path);
    const shown: string[] = [];
    for await (const { name, type, codeBits } of opened.inspect()) shown.push(`${name} ${type} ${codeBits}`);
    expect(shown).toContain("stem W4 sym in int4 4");
    expect(shown).toContain("head W8 asym in uint8, inputs of 8 bits 8");
    expect(shown).toContain("deep.weight float32 null");
  });

  it("is refused to other formats, and language models to it, with the one that takes them", async () => {
    using it = await made(false);
    for (const name of formatNames.filter((each) => each !== "qdq")) {
      expect(() => exporters[name].plan(it.result, defaultExportOptions)).toThrow(/Next: use --format qdq/);
    }
    const { graph: _, ...model } = it.result;
    expect(() => exporters.qdq.plan(model, defaultExportOptions)).toThrow(
      /this is a language model.*Next: use --format onnx/,
    );
  });
});
