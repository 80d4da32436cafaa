import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CrossblockError, FormatError, ModelError } from "../../src/errors.js";
import { weightHash } from "../../src/format/bits/weight-hash.js";
import { defaultExportOptions } from "../../src/format/contract/export-options.js";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import type { TensorCheck } from "../../src/format/contract/tensor-check.js";
import { onnxExporter } from "../../src/format/onnx/exporter.js";
import { inspectOnnx } from "../../src/format/onnx/inspect.js";
import { OnnxFile } from "../../src/format/onnx/read.js";
import { writeOnnx } from "../../src/format/onnx/write.js";
import { everywhere, model, outFolder, smallSource, useOnnxScratch, verdicts } from "./onnx-exports.js";

useOnnxScratch();

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
        "README.source.md",
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
    const out = outFolder();
    const { path, bytes } = onnxExporter.plan(source, defaultExportOptions);
    expect(path).toBe("onnx");
    expect(await onnxExporter.find(out)).toBeNull();
    expect(await onnxExporter.find(model)).toBeNull();
    const signal = new AbortController().signal;
    expect(await onnxExporter.write(source, out, { ...defaultExportOptions, signal })).toEqual([]);
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
    await refused(config({ rope_parameters: { rope_type: "axial", factor: 4 } }), ModelError, /axial/);
    await refused(config({ model_type: "mamba" }), ModelError, /mamba.*llama, mistral/s);
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

it("shows a file by its tensors", async () => {
  using source = await smallSource(everywhere(8, 32, false));
  const out = outFolder();
  const written = await writeOnnx(source, out);
  using file = OnnxFile.open(join(out, written.model));
  const types = new Set<string>();
  for await (const { type } of inspectOnnx(file)) types.add(type);
  expect([...types].toSorted()).toEqual(["8 bits, blocks of 32, zero points", "bfloat16", "float32"]);
});
