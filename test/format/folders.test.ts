import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import type { JsonObject } from "../../src/checkpoint/json/json.js";
import { CheckpointError, FormatError } from "../../src/errors.js";
import { isCompressedTensors, openCompressedTensors } from "../../src/format/compressed-tensors/read.js";
import { writeCompressedTensors } from "../../src/format/compressed-tensors/write.js";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import { isGptq, openGptq } from "../../src/format/gptq/read.js";
import { writeGptq } from "../../src/format/gptq/write.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";
import { type MemorySource, memorySource } from "./memory-source.js";
import { roundToNearest } from "./rtn-source.js";

const configText = '{"model_type": "llama", "rope_theta": 10000.0, "rms_norm_eps": 1e-05, "tie_word_embeddings": true}';
const tokenizerText = '{"version": "1.0",   "spaces": "kept"}';
let scratch = "";
let model = "";
let out = "";

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-folders-"));
  model = join(scratch, "model");
  out = join(scratch, "out");
  mkdirSync(model);
  writeFileSync(join(model, "config.json"), configText);
  writeFileSync(join(model, "tokenizer.json"), tokenizerText);
  writeFileSync(join(model, "chat_template.jinja"), "{{ messages }}\r\n");
  writeFileSync(join(model, "pytorch_model.bin"), "old weights");
  writeFileSync(join(model, "model.safetensors.index.json"), "{}");
  writeFileSync(join(model, ".hidden"), "cache");
  mkdirSync(join(model, "onnx"));
  writeFileSync(join(model, "onnx", "model.onnx"), "another format");
});

afterEach(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** A weight with a fixed pattern, so that any two differ. */
function weightOf(bits: number, groupSize: number | null, symmetric: boolean, seed = 1): QuantizedWeight {
  const [rows, columns] = [32, 64];
  const values = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(seed * 37 + i * i));
  const layout = { bits, groupSize: groupSize ?? columns, perChannel: groupSize === null, symmetric, rows, columns };
  return roundToNearest(values, layout);
}

function source(weights: Readonly<Record<string, QuantizedWeight>>, more: Partial<MemorySource> = {}): ExportSource {
  return memorySource({
    folder: model,
    config: JSON.parse(configText) as JsonObject,
    weights: new Map(Object.entries(weights)),
    plain: {
      "model.embed_tokens.weight": { shape: [3, 2], values: [1, 2, 3, 4, 5, 6] },
      "model.norm.weight": { shape: [2], values: [0.1, -0.2] },
      "model.layers.0.mlp.up_proj.bias": { shape: [2], values: [7, 8] },
      "model.layers.1.mlp.up_proj.weight": { shape: [2, 2], values: [1, 0, 0, 1] },
    },
    ...more,
  });
}

async function expectSame(written: ExportSource, original: ExportSource): Promise<void> {
  expect([...written.linears].sort()).toEqual(
    [...original.linears]
      .map(([name, { bits, groupSize, perChannel, symmetric, rows, columns }]) => [
        name,
        { bits, groupSize, perChannel, symmetric, rows, columns },
      ])
      .sort(),
  );
  for (const name of original.linears.keys()) {
    expect(await written.readQuantized(name), name).toEqual(await original.readQuantized(name));
  }
  expect([...written.plain.keys()].sort()).toEqual([...original.plain.keys()].sort());
  for (const name of original.plain.keys()) {
    expect(Buffer.compare(await written.readPlain(name), await original.readPlain(name)), name).toBe(0);
  }
  expect(written.config).toEqual(original.config);
}

function readConfig(): JsonObject {
  return JSON.parse(readFileSync(join(out, "config.json"), "utf8")) as JsonObject;
}

const mixed = (): Readonly<Record<string, QuantizedWeight>> => ({
  "model.layers.0.mlp.up_proj": weightOf(2, 16, true),
  "model.layers.0.mlp.down_proj": weightOf(4, null, false, 2),
  "model.layers.10.mlp.up_proj": weightOf(3, 32, false, 3),
  "model.layers.2.mlp.up_proj": weightOf(8, 64, true, 4),
});

describe("compressed-tensors folder", () => {
  it("gives back the codes, scales and other tensors of a model with mixed schemes", async () => {
    const original = source(mixed());
    const result = await writeCompressedTensors(original, out);
    using written = await openCompressedTensors(out);
    await expectSame(written, original);
    expect(isCompressedTensors(readConfig())).toBe(true);
    expect(result.files.toSorted()).toEqual(readdirSync(out).toSorted());
    const bytes = result.files.reduce((sum, name) => sum + readFileSync(join(out, name)).byteLength, 0);
    expect(result.bytes).toBe(bytes);
    const { ignore, config_groups: groups, format } = readConfig()["quantization_config"] as JsonObject;
    expect(ignore).toEqual(["lm_head", "model.layers.1.mlp.up_proj"]);
    expect(format).toBe("pack-quantized");
    expect(Object.values(groups as JsonObject).map((group) => (group as JsonObject)["targets"])).toEqual(
      Object.keys(mixed()).map((name) => [name]),
    );
  });

  it("writes tensors in the order of the layers, in shards when asked", async () => {
    const original = source(mixed());
    const { files } = await writeCompressedTensors(original, out, { maxShardBytes: 2000 });
    expect(files.filter((name) => name.endsWith(".safetensors")).length).toBeGreaterThan(1);
    using written = await openCompressedTensors(out);
    await expectSame(written, original);
    using checkpoint = await Checkpoint.open(out);
    const layers = [...checkpoint.tensors.keys()].flatMap((name) => /layers\.(\d+)/.exec(name)?.[1] ?? []);
    expect(layers).toEqual(layers.toSorted((a, b) => Number(a) - Number(b)));
  });

  it("copies tokenizer and template byte for byte, and nothing of other formats", async () => {
    await writeCompressedTensors(source(mixed()), out);
    expect(readFileSync(join(out, "tokenizer.json"), "utf8")).toBe(tokenizerText);
    expect(readFileSync(join(out, "chat_template.jinja"), "utf8")).toBe("{{ messages }}\r\n");
    expect(readdirSync(out).toSorted()).toEqual([
      "chat_template.jinja",
      "config.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
  });

  it("keeps the spelling of config.json and replaces an earlier quantization_config", async () => {
    writeFileSync(
      join(model, "config.json"),
      configText.replace("{", '{"quantization_config": {"quant_method": "x"}, '),
    );
    await writeCompressedTensors(source(mixed()), out);
    const text = readFileSync(join(out, "config.json"), "utf8");
    expect(text).toContain('"rope_theta": 10000.0,');
    expect(text).toContain('"rms_norm_eps": 1e-05,');
    expect(text.match(/"quant_method": /g)).toHaveLength(1);
    expect((readConfig()["quantization_config"] as JsonObject)["quant_method"]).toBe("compressed-tensors");
  });

  it("describes one scheme by class, and W8A8 as int-quantized with its static scales", async () => {
    const original = source(
      { a: weightOf(8, null, true), b: weightOf(8, null, true, 2) },
      {
        activations: { bits: 8, granularity: "tensor", dynamic: false },
        inputScales: new Map([
          ["a", 0.1],
          ["b", 0.25],
        ]),
      },
    );
    await writeCompressedTensors(original, out);
    const config = readConfig()["quantization_config"] as JsonObject;
    expect(config["format"]).toBe("int-quantized");
    expect(config["crossblock"]).toBeUndefined();
    expect(config["config_groups"]).toMatchObject({
      group_0: { targets: ["Linear"], input_activations: { num_bits: 8, strategy: "tensor", dynamic: false } },
    });
    using written = await openCompressedTensors(out);
    await expectSame(written, original);
    expect(written.activations).toEqual(original.activations);
    expect([...written.inputScales]).toEqual([
      ["a", Math.fround(0.1)],
      ["b", 0.25],
    ]);
  });

  it("marks activations that no runtime executes as simulated", async () => {
    const activations = { bits: 4, granularity: "token", dynamic: true } as const;
    await writeCompressedTensors(source({ a: weightOf(4, null, true) }, { activations }), out);
    const config = readConfig()["quantization_config"] as JsonObject;
    expect(config["crossblock"]).toMatchObject({ activations: "simulated" });
    expect(config["config_groups"]).toMatchObject({ group_0: { format: "pack-quantized" } });
    using written = await openCompressedTensors(out);
    expect(written.activations).toEqual(activations);
  });

  it("hands over crossblock.json", async () => {
    await writeCompressedTensors(source(mixed()), out);
    writeFileSync(join(out, "crossblock.json"), '{"scheme": "W2A16g64"}');
    using written = await openCompressedTensors(out);
    expect(written.record).toEqual({ scheme: "W2A16g64" });
  });

  it("refuses a static activation without scale, a quantized tied head and its own source folder", async () => {
    const activations = { bits: 8, granularity: "tensor", dynamic: false } as const;
    await expect(writeCompressedTensors(source({ a: weightOf(8, null, true) }, { activations }), out)).rejects.toThrow(
      /^a: its static activation scale is missing.*Next: quantize again/,
    );
    await expect(writeCompressedTensors(source({ lm_head: weightOf(4, null, true) }), out)).rejects.toThrow(
      /^lm_head: .*tie them.*Next: leave lm_head/,
    );
    await expect(writeCompressedTensors(source(mixed()), model)).rejects.toThrow(/overwrite the model.*Next: choose/);
    expect(existsSync(join(model, "model.safetensors"))).toBe(false);
    expect(existsSync(out)).toBe(false);
  });

  it("refuses a weight whose codes, scales or plan are wrong, and leaves no weights behind", async () => {
    const weight = weightOf(4, 16, true);
    const damage: readonly [Partial<QuantizedWeight>, RegExp][] = [
      [{ codes: weight.codes.with(5, 16) }, /^a: code 16 does not fit 4 bits/],
      [{ scales: weight.scales.with(0, 0.1) }, /^a: scale 0\.1\d* is not an fp16 number/],
      [{ zeroPoints: weight.zeroPoints.with(1, 7) }, /^a: zero point 7 in a symmetric/],
      [{ codes: weight.codes.subarray(1) }, /^a: 2047 codes for 32 x 64/],
    ];
    for (const [part, message] of damage) {
      const write = writeCompressedTensors(source({ a: { ...weight, ...part } }), out);
      await expect(write).rejects.toThrow(FormatError);
      await expect(write).rejects.toThrow(message);
    }
    const other = source({ a: weight });
    const planned = { ...other, linears: new Map([["a", { ...weight, groupSize: 32 }]]) };
    await expect(writeCompressedTensors(planned, out)).rejects.toThrow(/^a: its codes have groupSize 16.*Next/);
    expect(readdirSync(out)).toEqual([]);
  });

  it("stops when aborted and leaves no weights behind", async () => {
    const stop = new AbortController();
    const original = source(mixed());
    const write = writeCompressedTensors(
      {
        ...original,
        readQuantized(name) {
          stop.abort();
          return original.readQuantized(name);
        },
      },
      out,
      { signal: stop.signal },
    );
    await expect(write).rejects.toThrow(/abort/i);
    expect(readdirSync(out)).toEqual([]);
  });

  it("does not follow a link out of the model folder", async () => {
    writeFileSync(join(scratch, "secret"), "key");
    symlinkSync(join(scratch, "secret"), join(model, "special_tokens_map.json"));
    await expect(writeCompressedTensors(source(mixed()), out)).rejects.toThrow(CheckpointError);
  });

  const edits: readonly [string, string, string, RegExp][] = [
    ["bits", '"num_bits": 4', '"num_bits": 5', /a: codes of shape \[32, 8\] can't hold.*Next/],
    ["group", '"group_size": 16', '"group_size": 48', /groups of 48 columns don't divide/],
    ["type", '"type": "int"', '"type": "float"', /config_groups\.group_0: weights of type "float".*Next/],
    ["targets", '"Linear"', '"re:model.*"', /a: no group of the configuration targets/],
    ["strategy", '"strategy": "group"', '"strategy": "block"', /strategy "block"/],
    ["symmetry", '"symmetric": true', '"symmetric": false', /a\.weight_zero_point: the tensor is missing/],
    ["pattern", '"Linear"', '"re:(?i:x)"', /Python pattern/],
  ];
  it.each(edits)("refuses a configuration with another %s", async (_, from, to, message) => {
    await writeCompressedTensors(source({ a: weightOf(4, 16, true) }), out);
    const path = join(out, "config.json");
    const text = readFileSync(path, "utf8");
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
    const open = openCompressedTensors(out);
    await expect(open).rejects.toThrow(FormatError);
    await expect(open).rejects.toThrow(message);
  });

  it("refuses a plain model", async () => {
    await expect(openCompressedTensors(model)).rejects.toThrow(/no quantization_config of compressed-tensors.*Next/);
  });
});

describe("GPTQ folder", () => {
  it("gives back a model with mixed schemes, as version 2 because some are asymmetric", async () => {
    const original = source(mixed());
    const { files } = await writeGptq(original, out);
    expect(files).toContain("quantize_config.json");
    using written = await openGptq(out);
    await expectSame(written, original);
    expect(written.checkpointFormat).toBe("gptq_v2");
    const config = readConfig()["quantization_config"] as JsonObject;
    expect(isGptq(readConfig())).toBe(true);
    expect(JSON.parse(readFileSync(join(out, "quantize_config.json"), "utf8"))).toEqual(config);
    expect(config["dynamic"]).toEqual({
      "-:^model\\.layers\\.1\\.mlp\\.up_proj$": {},
      "+:^model\\.layers\\.0\\.mlp\\.down_proj$": { bits: 4, group_size: -1, sym: false },
      "+:^model\\.layers\\.10\\.mlp\\.up_proj$": { bits: 3, group_size: 32, sym: false },
      "+:^model\\.layers\\.2\\.mlp\\.up_proj$": { bits: 8, group_size: 64, sym: true },
    });
  });

  it("writes version 1 when all weights are symmetric, version 2 on request", async () => {
    const original = source({ a: weightOf(4, 16, true), b: weightOf(4, 16, true, 2) });
    await writeGptq(original, out);
    using first = await openGptq(out);
    expect(first.checkpointFormat).toBe("gptq");
    await expectSame(first, original);
    await writeGptq(original, out, { checkpointFormat: "gptq_v2" });
    using second = await openGptq(out);
    expect(second.checkpointFormat).toBe("gptq_v2");
    await expectSame(second, original);
  });

  it("reads quantize_config.json alone, as older tools write it", async () => {
    const original = source({ a: weightOf(4, 16, true) });
    await writeGptq(original, out);
    writeFileSync(join(out, "config.json"), configText);
    using written = await openGptq(out);
    await expectSame(written, original);
  });

  it("refuses what the format can't hold before it writes anything", async () => {
    const activations = { bits: 8, granularity: "token", dynamic: true } as const;
    const cases: readonly [Promise<unknown>, RegExp][] = [
      [writeGptq(source({ a: weightOf(6, 16, true) }), out), /6 bits.*compressed-tensors/],
      [writeGptq(source({ a: weightOf(4, 16, false) }), out, { checkpointFormat: "gptq" }), /Next: write gptq_v2/],
      [writeGptq(source({ a: weightOf(4, 16, true) }, { activations }), out), /weights only.*compressed-tensors/],
      [writeGptq(source({}), out), /no quantized Linear/],
    ];
    for (const [write, message] of cases) {
      await expect(write).rejects.toThrow(FormatError);
      await expect(write).rejects.toThrow(message);
    }
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    ["bits", '"bits": 4', '"bits": 8', /a\.qzeros|a\.qweight|scales/],
    ["version", '"checkpoint_format": "gptq"', '"checkpoint_format": "marlin"', /checkpoint_format "marlin".*Next/],
    ["group", '"group_size": 16', '"group_size": 0', /group_size 0/],
    ["width", '"bits": 4', '"bits": 5', /5 bits, not 2, 3, 4, 8/],
  ] as const)("refuses a configuration with another %s", async (_, from, to, message) => {
    await writeGptq(source({ a: weightOf(4, 16, true) }), out);
    const path = join(out, "config.json");
    writeFileSync(path, readFileSync(path, "utf8").replace(from, to));
    const read = async (): Promise<void> => {
      using folder = await openGptq(out);
      await folder.readQuantized("a");
    };
    await expect(read()).rejects.toThrow(FormatError);
    await expect(read()).rejects.toThrow(message);
  });
});
