import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { ModelError } from "../errors.js";
import { hasBias, inputSites, linearName, linearRoles, linearShape } from "./decoder-spec.js";
import { families } from "./families/index.js";
import { readSpec } from "./read-spec.js";
import { tinyModel } from "./testing/tiny-models.js";

const llama = tinyModel("llama").config as ModelConfig;
const opt = tinyModel("opt").config as ModelConfig;
const oldStyle = { ...llama, rope_parameters: null, rope_theta: 5e5 };

function without(config: ModelConfig, key: string): ModelConfig {
  return Object.fromEntries(Object.entries(config).filter(([name]) => name !== key));
}

function errorOf(config: ModelConfig): ModelError {
  try {
    readSpec(config);
  } catch (error) {
    if (error instanceof ModelError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

describe("rotary positions", () => {
  const positionsOf = (config: ModelConfig) => readSpec(config).positions;
  const llama31 = {
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };

  it("reads the style of transformers 5: everything in rope_parameters", () => {
    const rope = { rope_theta: 500, rope_type: "linear", factor: 4 };
    expect(positionsOf({ ...llama, rope_parameters: rope })).toEqual({
      kind: "rotary",
      theta: 500,
      scaling: { kind: "linear", factor: 4 },
    });
  });

  it("reads the style before: theta alone, rope_scaling null or absent", () => {
    const plain = { kind: "rotary", theta: 5e5, scaling: { kind: "none" } };
    expect(positionsOf(oldStyle)).toEqual(plain);
    expect(positionsOf({ ...oldStyle, rope_scaling: null })).toEqual(plain);
    expect(positionsOf(without({ ...oldStyle }, "rope_theta"))).toMatchObject({ theta: 10000 });
  });

  it.each(["rope_type", "type"])("reads rope_scaling with the key %s", (key) => {
    expect(positionsOf({ ...oldStyle, rope_scaling: { [key]: "llama3", ...llama31 } })).toEqual({
      kind: "rotary",
      theta: 5e5,
      scaling: {
        kind: "llama3",
        factor: 8,
        lowFrequencyFactor: 1,
        highFrequencyFactor: 4,
        originalContext: 8192,
      },
    });
  });

  it("lets rope_scaling win over rope_parameters, as transformers does", () => {
    const both = { ...llama, rope_theta: 7, rope_scaling: { rope_type: "linear", factor: 2 } };
    expect(positionsOf(both)).toEqual({ kind: "rotary", theta: 7, scaling: { kind: "linear", factor: 2 } });
  });

  it.each(["yarn", "dynamic", "longrope"])("refuses %s by name", (type) => {
    const error = errorOf({ ...oldStyle, rope_scaling: { rope_type: type, factor: 2 } });
    expect(error.what).toContain(type);
    expect(error.next).toContain("llama3");
  });

  it("refuses positions that turn a part of a head, and heads of odd width", () => {
    expect(errorOf({ ...llama, partial_rotary_factor: 0.5 }).message).toContain("partial_rotary_factor");
    expect(errorOf({ ...llama, head_dim: 7 }).message).toContain("7");
  });
});

describe("attention", () => {
  it("derives the width of a head where head_dim is null or absent", () => {
    expect(readSpec({ ...llama, head_dim: null }).attention.headDim).toBe(8);
    expect(readSpec(without(llama, "head_dim")).attention.headDim).toBe(8);
    expect(readSpec({ ...llama, head_dim: 12 }).attention.headDim).toBe(12);
  });

  it("has as many key heads as query heads where none are named", () => {
    expect(readSpec(without(llama, "num_key_value_heads")).attention.kvHeads).toBe(4);
    expect(readSpec(opt).attention.kvHeads).toBe(4);
  });

  it("refuses head counts that do not fit", () => {
    const error = errorOf({ ...llama, num_key_value_heads: 3 });
    expect(error.next).toContain("num_key_value_heads");
  });

  it("reads the sliding window of Mistral, and none where it is null", () => {
    const mistral = tinyModel("mistral, window of 4").config as ModelConfig;
    expect(readSpec(mistral).attention.slidingWindow).toBe(4);
    expect(readSpec({ ...mistral, sliding_window: null }).attention.slidingWindow).toBeNull();
  });

  it("ignores Qwen2's window while it is switched off, and refuses it when on", () => {
    const qwen2 = { ...(tinyModel("qwen2").config as ModelConfig), sliding_window: 4096 };
    expect(readSpec({ ...qwen2, use_sliding_window: false }).attention.slidingWindow).toBeNull();
    expect(errorOf({ ...qwen2, use_sliding_window: true }).message).toContain("use_sliding_window");
  });
});

describe("biases", () => {
  it.each([
    ["llama", []],
    ["llama, biases, tied, wide heads", ["q", "k", "v", "o", "gate", "up", "down"]],
    ["qwen2", ["q", "k", "v"]],
    ["qwen3", []],
    ["mistral, window of 4", []],
    ["opt", ["q", "k", "v", "o", "up", "down"]],
  ])("%s has them on [%s]", (name, roles) => {
    const spec = readSpec(tinyModel(name).config as ModelConfig);
    expect(linearRoles(spec).filter((role) => hasBias(spec, role))).toEqual(roles);
  });
});

describe("names and shapes", () => {
  it.each(["llama", "llama, biases, tied, wide heads", "qwen3", "opt"])(
    "%s: every Linear is a tensor of the checkpoint",
    (name) => {
      const { config, tensors } = tinyModel(name);
      const spec = readSpec(config as ModelConfig);
      for (const role of linearRoles(spec)) {
        expect(tensors[`${linearName(spec, 1, role)}.weight`]).toEqual(linearShape(spec, role));
      }
    },
  );

  it("lists each Linear at one input", () => {
    const roles = inputSites(readSpec(opt)).map((site) => site.linears);
    expect(roles).toEqual([["q", "k", "v"], ["o"], ["up"], ["down"]]);
  });
});

describe("refusals", () => {
  it("lists the families that work", () => {
    const error = errorOf({ ...llama, model_type: "mamba" });
    expect(error.what).toContain("mamba");
    for (const family of families.keys()) expect(error.next).toContain(family);
  });

  it.each([
    "model_type",
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "hidden_act",
  ])("names the missing key %s", (key) => {
    const error = errorOf(without(llama, key));
    expect(error.what).toContain(key);
    expect(error.next).toContain(key);
  });

  it("names an activation it does not know, a property of objects included", () => {
    expect(errorOf({ ...llama, hidden_act: "mish" }).message).toContain("mish");
    expect(errorOf({ ...llama, hidden_act: "constructor" }).message).toContain("constructor");
  });

  it.each([
    ["do_layer_norm_before", false],
    ["word_embed_proj_dim", 16],
    ["_remove_final_layer_norm", true],
  ])("refuses OPT with %s %s", (key, value) => {
    expect(errorOf({ ...opt, [key]: value }).message).toContain(key);
  });
});
