import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMessage } from "../../src/checkpoint/onnx/decode-message.js";
import { encodeMessage } from "../../src/checkpoint/onnx/encode-message.js";
import { MODEL, type OnnxModel } from "../../src/checkpoint/onnx/schema.js";
import { CrossblockError } from "../../src/errors.js";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import { OnnxFile } from "../../src/format/onnx/read.js";
import { writeOnnx } from "../../src/format/onnx/write.js";
import { everywhere, outFolder, smallSource, useOnnxScratch, verdicts } from "./onnx-exports.js";

useOnnxScratch();

function change(file: string, edit: (model: OnnxModel) => OnnxModel): void {
  writeFileSync(file, encodeMessage(MODEL, edit(decodeMessage(MODEL, readFileSync(file), file))));
}

describe("a damaged export", () => {
  const target = "model.layers.0.mlp.up_proj";

  async function written(): Promise<{ source: ExportSource & Disposable; file: string; data: string }> {
    const source = await smallSource(everywhere(4, 64, false));
    const out = outFolder();
    const { model: name } = await writeOnnx(source, out);
    return { source, file: join(out, name), data: join(out, `${name}_data`) };
  }

  function placeOf(file: string, tensor: string): number {
    using opened = OnnxFile.open(file);
    return opened.tensors.get(tensor)?.offset ?? Number.NaN;
  }

  it.each([
    ["codes", /^code \d+ instead of \d+ at row 0, column/],
    ["scales", /scale/],
    ["zero_points", /^zero point \d+ instead of \d+ at row 0, column/],
  ])("is named when one byte of the %s is flipped", async (part, detail) => {
    const { source, file, data } = await written();
    using _ = source;
    const bytes = readFileSync(data);
    const at = placeOf(file, `${target}.weight.${part}`) + 1;
    bytes[at] = (bytes[at] ?? 0) ^ 0x7f;
    writeFileSync(data, bytes);
    const wrong = (await verdicts(file, source)).filter(({ status }) => status !== "same");
    expect(wrong).toMatchObject([{ name: target, status: "different", detail: expect.stringMatching(detail) }]);
  });

  it("is named when two scales change places, or a byte of a norm or of a rotary table changes", async () => {
    const { source, file, data } = await written();
    using _ = source;
    const bytes = readFileSync(data);
    const at = placeOf(file, `${target}.weight.scales`);
    bytes.copyWithin(at, at + 2, at + 4);
    for (const name of ["model.norm.weight", "rotary.sines"]) {
      const byte = placeOf(file, name) + 7;
      bytes[byte] = (bytes[byte] ?? 0) ^ 1;
    }
    writeFileSync(data, bytes);
    const wrong = (await verdicts(file, source)).filter(({ status }) => status !== "same");
    expect(wrong.map(({ name }) => name).toSorted()).toEqual([target, "model.norm.weight", "rotary.sines"].toSorted());
  });

  it("is named when nodes, sizes or tensors are others", async () => {
    const { source, file } = await written();
    using _ = source;
    change(file, (model) => ({
      ...model,
      graph: {
        ...model.graph,
        nodes: (model.graph?.nodes ?? []).filter(({ operator }) => operator !== "Sigmoid"),
        initializers: [
          ...(model.graph?.initializers ?? []),
          { name: "more", shape: [1], dataType: 2, rawData: Uint8Array.of(1) },
        ],
      },
    }));
    const wrong = (await verdicts(file, source)).filter(({ status }) => status !== "same");
    expect(wrong).toMatchObject([
      { name: "graph", status: "different", detail: expect.stringContaining("constants") },
      { name: "more", status: "unexpected" },
    ]);
    // The other options are another graph.
    const [graph] = await verdicts(file, source, { accuracyLevel: 0 });
    expect(graph?.status).toBe("different");
  });

  it.each([
    ["a dropped tensor", (t: Tensors) => t.filter(({ name }) => name !== `${target}.weight.codes`), /up_proj: input 1/],
    ["a tensor twice", (t: Tensors) => [...t, ...t.slice(0, 1)], /appears twice/],
    ["another shape", edited({ shape: [1, 2] }), /bytes of external data for a tensor of/],
    ["a negative shape", edited({ shape: [-1] }), /shape/],
    ["an unknown type", edited({ dataType: 99 }), /data type 99/],
    ["a place outside", edited({ externalData: place("../secret", "0") }), /not a plain name/],
    ["a place beyond the end", edited({ externalData: place("model_q4.onnx_data", "999999999") }), /past the end/],
    ["no number", edited({ externalData: place("model_q4.onnx_data", "-4") }), /past the end/],
    ["an overlap", edited({ externalData: place("model_q4.onnx_data", "64") }), /overlaps/],
    ["a missing data file", edited({ externalData: place("other", "0") }), /data file can't be opened/],
  ])("is refused with a typed error: %s", async (_, edit, message) => {
    const { source, file } = await written();
    using __ = source;
    change(file, (model) => ({
      ...model,
      graph: { ...model.graph, initializers: edit(model.graph?.initializers ?? []) },
    }));
    expect(() => OnnxFile.open(file)).toThrow(CrossblockError);
    expect(() => OnnxFile.open(file)).toThrow(message);
    expect(() => OnnxFile.open(file)).toThrow(/Next: /);
  });

  it("is refused when the data file is cut", async () => {
    const { source, file, data } = await written();
    using _ = source;
    truncateSync(data, statSync(data).size - 100);
    expect(() => OnnxFile.open(file)).toThrow(/past the end of model_q4\.onnx_data/);
  });

  it("throws nothing but typed errors, whatever bytes of the graph are changed", async () => {
    const { source, file } = await written();
    using _ = source;
    const bytes = readFileSync(file);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        (changes) => {
          const copy = Buffer.from(bytes);
          for (const [at, value] of changes) copy[at] = value;
          writeFileSync(file, copy);
          try {
            using opened = OnnxFile.open(file);
            for (const module of opened.linears.keys()) opened.readQuantized(module);
          } catch (error) {
            expect(error).toBeInstanceOf(CrossblockError);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  type Tensors = NonNullable<NonNullable<OnnxModel["graph"]>["initializers"]>;

  function edited(more: Partial<Tensors[number]>): (tensors: Tensors) => Tensors {
    return (tensors) => tensors.map((each) => (each.name === `${target}.weight.scales` ? { ...each, ...more } : each));
  }

  function place(location: string, offset: string): { key: string; value: string }[] {
    return [
      { key: "location", value: location },
      { key: "offset", value: offset },
    ];
  }
});
