import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import type { JsonObject } from "../../src/checkpoint/json/json.js";
import { CheckpointError, FormatError } from "../../src/errors.js";
import { isCompressedTensors, openCompressedTensors } from "../../src/format/compressed-tensors/read.js";
import { writeCompressedTensors } from "../../src/format/compressed-tensors/write.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";
import {
  configText,
  expectSame,
  mixed,
  model,
  out,
  readConfig,
  scratch,
  source,
  tokenizerText,
  useModelFolder,
  weightOf,
} from "./model-folder.js";

useModelFolder();

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

  it("holds static inputs whose zero has a code of its own, signed as the library has it", async () => {
    const activations = { bits: 4, granularity: "tensor", dynamic: false, zeroPoint: "integer" } as const;
    const grids = {
      inputScales: new Map([
        ["a", 0.5],
        ["b", 0.25],
      ]),
      inputZeroPoints: new Map([
        ["a", 0],
        ["b", 13],
      ]),
    };
    const weights = { a: weightOf(4, null, true), b: weightOf(4, null, true, 2) };
    await writeCompressedTensors(source(weights, { activations, ...grids }), out);
    const config = readConfig()["quantization_config"] as JsonObject;
    expect(config["config_groups"]).toMatchObject({
      group_0: { input_activations: { num_bits: 4, strategy: "tensor", dynamic: false, symmetric: false } },
    });
    using written = await openCompressedTensors(out);
    expect(written.activations).toEqual(activations);
    expect(written.inputZeroPoints).toEqual(grids.inputZeroPoints);
    using stored = await Checkpoint.open(out);
    expect(stored.tensors.get("b.input_zero_point")).toMatchObject({ dtype: "I8", shape: [1] });
    expect([...new Int8Array(Uint8Array.from(await stored.read("b.input_zero_point")).buffer)]).toEqual([5]);
    expect(written.plain.has("b.input_zero_point")).toBe(false);
  });

  it("refuses inputs whose zero has no code, before anything is written", async () => {
    const inputScales = new Map([["a", 0.5]]);
    const weights = { a: weightOf(4, null, true) };
    const fraction = { bits: 4, granularity: "tensor", dynamic: false, zeroPoint: "fraction" } as const;
    await expect(writeCompressedTensors(source(weights, { activations: fraction, inputScales }), out)).rejects.toThrow(
      /zero points that are integers.*Next: use --set kurtosis\.alignZero=true/,
    );
    const activations = { ...fraction, zeroPoint: "integer" } as const;
    for (const zeroPoint of [7.5, 16, -1]) {
      const inputZeroPoints = new Map([["a", zeroPoint]]);
      const wrong = source(weights, { activations, inputScales, inputZeroPoints });
      await expect(writeCompressedTensors(wrong, out)).rejects.toThrow(/^a: the zero point of its input is/);
    }
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
