import { describe, expect, it } from "vitest";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { quantizationConfig } from "./quantization-config.js";
import { simulationNote, transformersNote, whatLoads } from "./what-loads.js";

const layout: QuantizedLayout = { bits: 4, groupSize: 128, perChannel: false, symmetric: true, rows: 64, columns: 256 };
const readers = (fields: Partial<QuantizedLayout>): readonly string[] =>
  whatLoads({ ...layout, ...fields }, null).map(({ reader }) => reader);

describe("what loads", () => {
  it("knows that vLLM takes 4 and 8 bits of any kind and other widths when symmetric", () => {
    expect(readers({})).toEqual(["transformers", "vLLM"]);
    expect(readers({ bits: 3 })).toEqual(["transformers", "vLLM from mid-2026"]);
    expect(readers({ symmetric: false })).toContain("vLLM");
    expect(readers({ bits: 2, symmetric: false })).toEqual([
      "transformers with CompressedTensorsConfig(dequantize=True)",
    ]);
  });

  it("tells shapes and groups that miss Marlin", () => {
    const fast = (fields: Partial<QuantizedLayout>): boolean | undefined =>
      whatLoads({ ...layout, ...fields }, null).find(({ reader }) => reader === "vLLM")?.fast;
    expect(fast({})).toBe(true);
    expect(fast({ groupSize: 16 })).toBe(false);
    expect(fast({ rows: 96 })).toBe(false);
    expect(fast({ perChannel: true, groupSize: 256 })).toBe(true);
  });

  it("calls 4-bit and unusual static activations simulated, and W8A8 not", () => {
    const w8 = { ...layout, bits: 8, perChannel: true, groupSize: 256 };
    expect(simulationNote([layout], null)).toBeNull();
    expect(simulationNote([w8], { bits: 8, granularity: "token", dynamic: true })).toBeNull();
    expect(simulationNote([w8], { bits: 8, granularity: "tensor", dynamic: false })).toBeNull();
    expect(simulationNote([layout], { bits: 8, granularity: "token", dynamic: true })).toBeNull();
    expect(simulationNote([w8, layout], { bits: 8, granularity: "tensor", dynamic: false })).toMatch(/4-bit weights/);
    expect(simulationNote([layout], { bits: 4, granularity: "token", dynamic: true })).toMatch(/no integer kernels/);
  });
});

describe("what transformers leaves unread", () => {
  const expert = "model.layers.0.mlp.experts.0.up_proj";
  it.each([
    ["gpt2", ["transformer.h.0.attn.c_attn"], /does not read these weights.*random/],
    ["gpt_oss", [expert], /does not read these experts.*--format gguf/],
    ["granitemoe", ["model.layers.0.self_attn.q_proj"], null],
    ["granitemoeshared", [expert], /does not read these experts/],
    ["gemma4_text", ["model.layers.0.mlp.up_proj"], null],
    ["mixtral", [expert], null],
    ["gpt2", [], null],
  ])("%s with %j", (family, linears, expected) => {
    const note = transformersNote(family, linears);
    if (expected === null) expect(note).toBeNull();
    else expect(note).toMatch(expected);
  });
});

it("a router that transformers calls otherwise than the checkpoint is named so too, or it would be taken for quantized", () => {
  const source = { config: { model_type: "phimoe" }, linears: new Map(), plain: new Map(), activations: null };
  const { ignore } = quantizationConfig(source as unknown as ExportSource);
  expect(ignore).toEqual(["lm_head", "re:.*\\.mlp\\.router$"]);
});
