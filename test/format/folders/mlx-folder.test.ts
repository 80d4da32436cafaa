import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Checkpoint } from "../../../src/checkpoint/checkpoint.js";
import { FormatError } from "../../../src/errors.js";
import { defaultExportOptions } from "../../../src/format/contract/export-options.js";
import { checkMlx } from "../../../src/format/mlx/check.js";
import { mlxExporter } from "../../../src/format/mlx/exporter.js";
import type { ScaleChoice } from "../../../src/format/mlx/layout.js";
import { mlxNetwork } from "../../../src/format/mlx/mlx-network.js";
import { openMlxFolder } from "../../../src/format/mlx/read.js";
import { writeMlx } from "../../../src/format/mlx/write.js";
import type { QuantizedWeight } from "../../../src/quant/quantized-weight.js";
import { memorySource } from "../memory-source.js";
import { model, out, readConfig, useModelFolder, weightOf } from "../model-folder.js";

useModelFolder();

const sizes = { hidden_size: 64, intermediate_size: 32, num_attention_heads: 2, num_key_value_heads: 2 };
const config = {
  ...{ model_type: "llama", rms_norm_eps: 1e-5, tie_word_embeddings: true, vocab_size: 3, num_hidden_layers: 1 },
  ...sizes,
};
const zeros = (...shape: number[]) => ({
  shape,
  values: Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i)),
});
const norms = {
  "model.embed_tokens.weight": zeros(3, 64),
  "model.norm.weight": zeros(64),
  "model.layers.0.input_layernorm.weight": zeros(64),
  "model.layers.0.post_attention_layernorm.weight": zeros(64),
};
const down = { shape: [64, 32], values: Array.from({ length: 2048 }, (_, i) => Math.cos(i)) };
const gate = "model.layers.0.mlp.gate_proj";
const up = "model.layers.0.mlp.up_proj";

function result(weights: Readonly<Record<string, QuantizedWeight>>, plain = {}) {
  return memorySource({
    ...{ folder: model, config, weights: new Map(Object.entries(weights)) },
    plain: {
      ...norms,
      "model.layers.0.mlp.down_proj.weight": down,
      "model.layers.0.self_attn.rotary_emb.inv_freq": zeros(16),
      ...plain,
    },
  });
}

async function verdicts(of: ReturnType<typeof result>, choice: ScaleChoice = "exact") {
  using folder = await openMlxFolder(out);
  const all: [string, string, string | undefined][] = [];
  for await (const { name, status, detail } of checkMlx(folder, of, choice)) all.push([name, status, detail]);
  return all.filter(([, status]) => status !== "same");
}

describe("MLX folder", () => {
  it("holds codes, scales and biases exactly, each Linear in its own scheme", async () => {
    const weights = { [gate]: weightOf(4, 32, true), [up]: weightOf(3, null, false, 2) };
    const original = result(weights);
    expect(await writeMlx(original, out)).toEqual([]);
    using stored = await Checkpoint.open(out);
    const facts = (name: string) => [stored.tensors.get(name)?.dtype, ...(stored.tensors.get(name)?.shape ?? [])];
    expect(facts(`${gate}.weight`)).toEqual(["U32", 32, 8]);
    expect(facts(`${gate}.scales`)).toEqual(["F16", 32, 2]);
    expect(facts(`${gate}.biases`)).toEqual(["F16", 32, 2]);
    // One scale a row, and the widest of MLX's groups that divides 64 columns.
    expect(facts(`${up}.weight`)).toEqual(["U32", 32, 6]);
    expect(facts(`${up}.scales`)).toEqual(["F32", 32, 1]);
    expect(stored.tensors.has("model.layers.0.self_attn.rotary_emb.inv_freq")).toBe(false);
    const quantization = readConfig()["quantization"];
    expect(quantization).toEqual({
      ...{ group_size: 32, bits: 4, mode: "affine", [up]: { group_size: 64, bits: 3 } },
      "model.embed_tokens": false,
      "model.layers.0.mlp.down_proj": false,
    });
    expect(readConfig()["quantization_config"]).toEqual(quantization);
    expect(await verdicts(original)).toEqual([]);
    expect(await mlxExporter.find(out)).toBe(out);
    using folder = await openMlxFolder(out);
    for (const [name, weight] of Object.entries(weights)) {
      const { codes, scales, zeroPoints } = await folder.readAffine(name).then(async () => {
        const network = mlxNetwork({ ...folder, config: { ...folder.config } });
        return network.readQuantized(name);
      });
      expect({ codes, scales, zeroPoints }).toEqual({
        ...{ codes: weight.codes, scales: weight.scales, zeroPoints: weight.zeroPoints },
      });
    }
  });

  it("rounds scales on request, reports the loss and knows it again", async () => {
    const original = result({ [gate]: weightOf(4, 32, true), [up]: weightOf(4, 32, false, 2) });
    const losses = await writeMlx(original, out, { scales: "bf16" });
    expect(losses.map(({ tensor, type }) => [tensor, type])).toEqual([
      [gate, "BF16"],
      [up, "BF16"],
    ]);
    for (const { relativeError } of losses) {
      expect(relativeError).toBeGreaterThan(1e-8);
      expect(relativeError).toBeLessThan(1e-4);
    }
    expect(await verdicts(original, "bf16")).toEqual([
      [gate, "lossy", undefined],
      [up, "lossy", undefined],
    ]);
    using opened = await mlxExporter.open(out);
    expect(opened.madeWith({ ...defaultExportOptions, mlxScales: "bf16" })).toBe(true);
    expect(opened.madeWith({ ...defaultExportOptions, mlxScales: "exact" })).toBe(false);
    expect(opened.plannedBytes(original)).toBe(opened.bytes);
    expect(opened.scheme).toBe("W4A16g32");
    // fp16 holds what is symmetric; only the other biases are rounded.
    expect((await writeMlx(original, out, { scales: "f16" })).map(({ tensor }) => tensor)).toEqual([up]);
  });

  it("finds whatever differs from the result", async () => {
    const weight = weightOf(4, 32, false);
    const original = result({ [gate]: weight, [up]: weightOf(4, 32, false, 2) });
    await writeMlx(original, out);
    const other = (change: Partial<QuantizedWeight>) =>
      result({ [gate]: { ...weight, ...change }, [up]: weightOf(4, 32, false, 2) });
    const changed = weight.codes.with(70, ((weight.codes[70] ?? 0) + 1) % 16);
    expect(await verdicts(other({ codes: changed }))).toEqual([
      [gate, "different", expect.stringMatching(/code \d+ instead of \d+ at row 1, column 6/)],
    ]);
    expect(await verdicts(other({ scales: weight.scales.map((scale) => 2 * scale) }))).toEqual([
      [gate, "different", expect.stringMatching(/^scale .* at row 0, column 0/)],
    ]);
    expect(await verdicts(other({ zeroPoints: weight.zeroPoints.with(3, 1) }))).toEqual([
      [gate, "different", expect.stringMatching(/^bias .* at row 1, column 32/)],
    ]);
    expect(
      await verdicts(
        result({ [gate]: weight }, { [`${up}.weight`]: { shape: [32, 64], values: [...new Array(2048).fill(1)] } }),
      ),
    ).toEqual([
      ["config.json", "different", expect.stringContaining(`${up} has`)],
      [`${up}.weight`, "missing", undefined],
      [up, "unexpected", undefined],
    ]);
  });

  it("refuses what MLX lacks before it writes anything, and says what it has", async () => {
    const cases: readonly [Promise<unknown>, RegExp][] = [
      [writeMlx(result({ [gate]: weightOf(7, 32, true) }), out), /MLX has no 7 bits.*--scheme W8A16g32, or/],
      [writeMlx(result({ [gate]: weightOf(4, 16, true) }), out), /groups of 16 columns.*--scheme W4A16g32, or/],
      [writeMlx(result({}), out), /no quantized Linear/],
      [
        writeMlx({ ...result({ [gate]: weightOf(4, 32, true) }), config: { ...config, model_type: "opt" } }, out),
        /mlx-lm.*opt.*Next: use --format/,
      ],
    ];
    for (const [write, message] of cases) {
      await expect(write).rejects.toThrow(FormatError);
      await expect(write).rejects.toThrow(message);
    }
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    ["bits", '"bits": 4', '"bits": 8', /gate_proj\.weight: U32 \[32, 8\] is none|scales: F16 \[32, 2\] where/],
    ["width", '"bits": 4', '"bits": 7', /7 bits.*affine mode with 2, 3, 4, 5, 6 or 8/],
    ["group", '"group_size": 32', '"group_size": 64', /scales: F16 \[32, 2\] where F16 \[32, 1\] belongs/],
    ["mode", '"mode": "affine"', '"mode": "mxfp4"', /the mode "mxfp4".*Next: convert/],
  ] as const)("refuses a configuration with another %s", async (_, from, to, message) => {
    await writeMlx(result({ [gate]: weightOf(4, 32, true), [up]: weightOf(4, 32, true) }), out);
    const path = join(out, "config.json");
    const text = readFileSync(path, "utf8");
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
    const open = openMlxFolder(out);
    await expect(open).rejects.toThrow(FormatError);
    await expect(open).rejects.toThrow(message);
  });
});
