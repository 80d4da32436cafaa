import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CrossblockError, FormatError, ModelError } from "../../src/errors.js";
import { weightHash } from "../../src/format/bits/weight-hash.js";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import type { TensorCheck } from "../../src/format/contract/tensor-check.js";
import { checkOnnx } from "../../src/format/onnx/check.js";
import { onnxExporter } from "../../src/format/onnx/exporter.js";
import { inspectOnnx } from "../../src/format/onnx/inspect.js";
import { decodeMessage } from "../../src/format/onnx/message/decode-message.js";
import { encodeMessage } from "../../src/format/onnx/message/encode-message.js";
import { MODEL, type OnnxModel } from "../../src/format/onnx/message/schema.js";
import type { OnnxPlanOptions } from "../../src/format/onnx/plan.js";
import { OnnxFile } from "../../src/format/onnx/read.js";
import { writeOnnx } from "../../src/format/onnx/write.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";
import { type RtnScheme, rtnSource } from "./rtn-source.js";

const model = "models/sotu-llama-7m";
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-onnx-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** The model's first layer, rounded once: enough to meet every kind of tensor, and fast. */
async function smallSource(schemeOf: (name: string) => RtnScheme | null): Promise<ExportSource & Disposable> {
  const whole = await rtnSource(model, { schemeOf });
  const kept = ([name]: readonly [string, unknown]): boolean => !/\.layers\.[1-9]\./.test(name);
  const weights = new Map<string, Promise<QuantizedWeight>>();
  return {
    ...whole,
    config: { ...whole.config, num_hidden_layers: 1 },
    linears: new Map([...whole.linears].filter(kept)),
    plain: new Map([...whole.plain].filter(kept)),
    readQuantized(name) {
      const weight = weights.get(name) ?? whole.readQuantized(name);
      weights.set(name, weight);
      return weight;
    },
    [Symbol.dispose]: () => whole[Symbol.dispose](),
  };
}

const everywhere =
  (bits: number, group: number | null, symmetric = true): ((name: string) => RtnScheme) =>
  () => ({ bits, group, symmetric });

const outFolder = (): string => mkdtempSync(join(scratch, "out-"));

async function verdicts(file: string, source: ExportSource, options?: OnnxPlanOptions): Promise<TensorCheck[]> {
  using opened = OnnxFile.open(file);
  const checks: TensorCheck[] = [];
  for await (const check of checkOnnx(opened, source, options)) checks.push(check);
  return checks;
}

function change(file: string, edit: (model: OnnxModel) => OnnxModel): void {
  writeFileSync(file, encodeMessage(MODEL, edit(decodeMessage(MODEL, readFileSync(file), file))));
}

describe("a model folder as ONNX", () => {
  it.each([
    ["W4 g32", "model_q4.onnx", 4, 32, everywhere(4, 32)],
    ["W4 g128 asymmetric", "model_q4.onnx", 4, 128, everywhere(4, 128, false)],
    ["W4 channel", "model_q4.onnx", 4, 128, everywhere(4, null)],
    ["W3 g64", "model_q4.onnx", 4, 64, everywhere(3, 64)],
    ["W2 g64", "model_q2.onnx", 2, 64, everywhere(2, 64)],
    ["W2 g16 asymmetric", "model_q2.onnx", 2, 16, everywhere(2, 16, false)],
    ["W6 g64 asymmetric", "model_quantized.onnx", 8, 64, everywhere(6, 64, false)],
    ["W8 channel", "model_quantized.onnx", 8, 128, everywhere(8, null)],
    ["floats", "model.onnx", 0, 0, () => null],
  ] as const)(
    "%s: the decoder finds every code and value of the result",
    async (_, name, bits, blockSize, schemeOf) => {
      using source = await smallSource(schemeOf);
      const out = outFolder();
      const written = await writeOnnx(source, out);
      expect(written.model).toBe(`onnx/${name}`);
      expect(written.notes.length).toBe([0, 2, 4, 8].includes(schemeOf("")?.bits ?? 0) ? 0 : 1);
      expect(written.bytes).toBe(written.files.reduce((sum, file) => sum + statSync(join(out, file)).size, 0));
      const file = join(out, written.model);
      const checks = await verdicts(file, source);
      expect(checks.filter(({ status }) => status !== "same")).toEqual([]);
      // The graph, 7 Linears, embedding, 3 norms, 2 rotary tables.
      expect(checks.length).toBe(14);
      using opened = OnnxFile.open(file);
      for (const linear of opened.linears.values()) expect(linear).toMatchObject({ bits, blockSize });
      for (const [module] of source.linears) {
        const check = checks.find((each) => each.source === module);
        expect(check?.hash).toEqual(weightHash(await source.readQuantized(module)));
      }
    },
  );

  it("writes what transformers.js looks for, with the spelling of config.json", async () => {
    using source = await smallSource(everywhere(4, 64));
    const out = outFolder();
    const { files } = await writeOnnx(source, out, { precision: "fp16", maxChunkBytes: 2.2e6 });
    expect(readdirSync(out).toSorted()).toEqual(
      [
        "config.json",
        "generation_config.json",
        "onnx",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
      ].toSorted(),
    );
    const chunks = readdirSync(join(out, "onnx")).filter((name) => name !== "model_q4f16.onnx");
    expect(chunks.toSorted()).toEqual(["model_q4f16.onnx_data", "model_q4f16.onnx_data_1"]);
    expect(files.filter((name) => name.startsWith("onnx/")).length).toBe(3);
    const text = readFileSync(join(out, "config.json"), "utf8");
    expect(text).toContain('"rms_norm_eps": 1e-05');
    const config = JSON.parse(text) as Record<string, unknown>;
    expect(config["transformers.js_config"]).toEqual({
      dtype: "q4f16",
      use_external_data_format: { "model_q4f16.onnx": 2 },
    });
    expect(config["quantization_config"]).toBeUndefined();
    const file = join(out, "onnx", "model_q4f16.onnx");
    const checks = await verdicts(file, source, { precision: "fp16" });
    expect(checks.filter(({ status }) => status !== "same")).toEqual([]);
  });

  it("tells the cache's sizes where config.json leaves them to others", async () => {
    using source = await smallSource(everywhere(4, 64));
    const { head_dim: _, ...config } = source.config;
    const out = outFolder();
    await writeOnnx({ ...source, config }, out);
    expect(JSON.parse(readFileSync(join(out, "config.json"), "utf8"))).toMatchObject({ head_dim: 32 });
  });

  it("keeps plain Linears among quantized ones, byte for byte", async () => {
    using source = await smallSource((name) => (name.includes("mlp") ? null : { bits: 2, group: 64, symmetric: true }));
    const out = outFolder();
    const written = await writeOnnx(source, out);
    using file = OnnxFile.open(join(out, written.model));
    expect([...source.plain.keys()].filter((name) => name.includes(".mlp.")).length).toBeGreaterThan(2);
    for (const name of source.plain.keys()) {
      expect(file.tensors.get(name)?.dataType, name).toBe("bfloat16");
      expect(Buffer.compare(file.readBytes(name), await source.readPlain(name)), name).toBe(0);
    }
  });

  it("is one exporter among others", async () => {
    using source = await smallSource(everywhere(2, 64));
    const options = {
      ...{ ggufEmbedding: null, ggufOutput: null, reencode: false },
      ...({ onnxPrecision: "fp32", onnxAccuracy: "fast" } as const),
    };
    const out = outFolder();
    const { path, bytes } = onnxExporter.plan(source, options);
    expect(path).toBe("onnx");
    expect(await onnxExporter.find(out)).toBeNull();
    expect(await onnxExporter.find(model)).toBeNull();
    const signal = new AbortController().signal;
    expect(await onnxExporter.write(source, out, { ...options, signal })).toEqual([]);
    const found = await onnxExporter.find(out);
    expect(found).toBe(join(out, "onnx", "model_q2.onnx"));
    expect(await onnxExporter.find(join(out, "onnx"))).toBe(found);
    using opened = await onnxExporter.open(found ?? "");
    expect(opened).toMatchObject({ family: "llama", scheme: "W2A16g64", bytes, tensorCount: 13 });
    expect(opened.plannedBytes(source)).toBe(bytes);
    const checks: TensorCheck[] = [];
    for await (const check of opened.check(source)) checks.push(check);
    expect(checks.filter(({ status }) => status !== "same")).toEqual([]);
    expect(checks[0]?.name).toBe("config.json");
    const config = join(out, "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace("10000.0", "500000.0"));
    for await (const check of opened.check(source)) {
      if (check.name === "config.json")
        expect(check.detail).toMatch(/^rope_parameters is .*500000.* instead of .*10000/);
    }
    const seen = new Map<string, string>();
    for await (const { name, type, bytes, histogram, scales, bitsPerWeight } of opened.inspect()) {
      seen.set(name, type);
      if (histogram === null) continue;
      expect(bitsPerWeight).toBe(2.25);
      expect(bytes).toBeGreaterThan(0);
      expect(histogram.length).toBe(4);
      expect(scales?.[0]).toBeLessThan(0);
    }
    expect(seen.size).toBe(13);
    expect(seen.get("model.layers.0.mlp.up_proj")).toBe("2 bits, blocks of 64");
    expect(seen.get("model.norm.weight")).toBe("bfloat16");
  });
});

describe("refusals, before anything is written", () => {
  async function refused(
    edit: (source: ExportSource) => ExportSource,
    kind: typeof CrossblockError,
    message: RegExp,
  ): Promise<void> {
    using source = await smallSource(everywhere(4, 32));
    const out = join(outFolder(), "new");
    const write = writeOnnx(edit(source), out);
    await expect(write).rejects.toThrow(kind);
    await expect(write).rejects.toThrow(message);
    await expect(write).rejects.toThrow(/Next: /);
    expect(() => statSync(out)).toThrow();
  }

  it("groups without a block size", async () => {
    using source = await smallSource(everywhere(4, 8));
    await expect(writeOnnx(source, outFolder())).rejects.toThrow(/q_proj: .*groups of 8.*W4A16g16/);
  });

  it("rotary scalings, families and quantized Linears that the graph has no place for", async () => {
    const config = (more: object) => (source: ExportSource) => ({ ...source, config: { ...source.config, ...more } });
    await refused(config({ rope_parameters: { rope_type: "longrope", factor: 4 } }), ModelError, /longrope/);
    await refused(config({ model_type: "phi3" }), ModelError, /llama, mistral, qwen2, qwen3, opt/);
    await refused(config({ vocab_size: 5000 }), FormatError, /embed_tokens.*\[4096, 256\].*\[5000, 256\]/);
    await refused(config({ intermediate_size: 512 }), FormatError, /gate_proj: 768 x 256.*512 x 256/);
    await refused(config({ num_hidden_layers: 2 }), FormatError, /layers\.1\..*lacks this tensor/);
    await refused(
      (source) => {
        const [layout] = source.linears.values();
        if (layout === undefined) throw new Error("no Linear");
        return { ...source, linears: new Map([...source.linears, ["extra", layout]]) };
      },
      FormatError,
      /^extra: .*no place for this quantized Linear/,
    );
  });

  it("the source's own folder", async () => {
    using source = await smallSource(everywhere(4, 32));
    await expect(writeOnnx(source, model)).rejects.toThrow(/overwrite the model/);
    expect(readdirSync(model)).not.toContain("onnx");
  });
});

describe("an export that is stopped", () => {
  it("leaves no weights behind", async () => {
    using source = await smallSource(everywhere(4, 64));
    const stop = new AbortController();
    const slow = {
      ...source,
      async readQuantized(name: string) {
        stop.abort();
        return source.readQuantized(name);
      },
    };
    const out = outFolder();
    await expect(writeOnnx(slow, out, { signal: stop.signal })).rejects.toThrow("aborted");
    expect(readdirSync(join(out, "onnx"))).toEqual([]);
    expect(readdirSync(out)).toEqual(["onnx"]);
  });

  it("nor one whose weights are damaged", async () => {
    using source = await smallSource(everywhere(4, 64));
    const damaged = {
      ...source,
      async readQuantized(name: string) {
        const weight = await source.readQuantized(name);
        return { ...weight, codes: weight.codes.with(3, 16) };
      },
    };
    const out = outFolder();
    await expect(writeOnnx(damaged, out)).rejects.toThrow(/code 16 does not fit 4 bits/);
    expect(readdirSync(join(out, "onnx"))).toEqual([]);
  });
});

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

it("shows a file by its tensors", async () => {
  using source = await smallSource(everywhere(8, 32, false));
  const out = outFolder();
  const written = await writeOnnx(source, out);
  using file = OnnxFile.open(join(out, written.model));
  const types = new Set<string>();
  for await (const { type } of inspectOnnx(file)) types.add(type);
  expect([...types].toSorted()).toEqual(["8 bits, blocks of 32, zero points", "bfloat16", "float32"]);
});
