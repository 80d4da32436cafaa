import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { ModelError } from "../../../errors.js";
import { rotaryOf, softmaxOf } from "../../testing/softmax-of.js";
import { tinyModel } from "../../testing/tiny-models.js";
import { decoderUnits } from "../decoder-units.js";
import { families } from "../families/index.js";
import { readSpec } from "./read-spec.js";

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
  const positionsOf = (config: ModelConfig) => rotaryOf(readSpec(config));
  const whole = { width: 8, pairs: "halves" };
  const llama31 = {
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };

  it("reads the style of transformers 5: everything in rope_parameters", () => {
    const rope = { rope_theta: 500, rope_type: "linear", factor: 4 };
    expect(positionsOf({ ...llama, rope_parameters: rope })).toEqual({
      ...whole,
      theta: 500,
      scaling: { kind: "linear", factor: 4 },
    });
  });

  it("reads the style before: theta alone, rope_scaling null or absent", () => {
    const plain = { ...whole, theta: 5e5, scaling: { kind: "none" } };
    expect(positionsOf(oldStyle)).toEqual(plain);
    expect(positionsOf({ ...oldStyle, rope_scaling: null })).toEqual(plain);
    expect(positionsOf(without({ ...oldStyle }, "rope_theta"))).toMatchObject({ theta: 10000 });
  });

  it.each(["rope_type", "type"])("reads rope_scaling with the key %s", (key) => {
    expect(positionsOf({ ...oldStyle, rope_scaling: { [key]: "llama3", ...llama31 } })).toEqual({
      ...whole,
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
    expect(positionsOf(both)).toEqual({ ...whole, theta: 7, scaling: { kind: "linear", factor: 2 } });
  });

  it.each(["axial", "mrope"])("refuses %s by name", (type) => {
    const error = errorOf({ ...oldStyle, rope_scaling: { rope_type: type, factor: 2 } });
    expect(error.what).toContain(type);
    expect(error.next).toContain("llama3");
  });

  it("takes rope_parameters where rope_scaling is empty", () => {
    const both = { ...llama, rope_scaling: {}, rope_parameters: { rope_theta: 5e5, rope_type: "default" } };
    expect(positionsOf(both)).toEqual({ ...whole, theta: 5e5, scaling: { kind: "none" } });
  });

  it("takes the base inside rope_parameters before the one beside them", () => {
    const rope_parameters = { rope_theta: 5e5, rope_type: "default" };
    expect(positionsOf({ ...llama, rope_theta: 7, rope_parameters })).toMatchObject({ theta: 5e5 });
  });

  it("does not scale what dynamic scaling leaves alone: contexts up to max_position_embeddings", () => {
    const dynamic = { ...oldStyle, rope_scaling: { type: "dynamic", factor: 2 } };
    expect(positionsOf(dynamic)).toEqual(positionsOf(oldStyle));
  });

  it("takes the original context from beside the parameters, from them, and else the whole one", () => {
    const scaling = { rope_type: "llama3", factor: 4, low_freq_factor: 1, high_freq_factor: 4 };
    const original = (config: ModelConfig) => {
      const { scaling } = positionsOf({ ...oldStyle, max_position_embeddings: 1024, ...config });
      return scaling.kind === "llama3" && scaling.originalContext;
    };
    const within = { ...scaling, original_max_position_embeddings: 512 };
    expect(original({ rope_scaling: scaling })).toBe(1024);
    expect(original({ rope_scaling: within })).toBe(512);
    expect(original({ rope_scaling: within, original_max_position_embeddings: 64 })).toBe(64);
  });

  it("refuses parameters for each kind of layer, a base that is no finite number, and factors of zero", () => {
    const nested = { full_attention: { rope_theta: 5e5, rope_type: "default" } };
    const error = errorOf({ ...llama, rope_parameters: nested });
    expect(error.what).toContain("full_attention");
    expect(error.next).toContain("rope_parameters");
    for (const theta of [Number.NaN, Number.POSITIVE_INFINITY, 0]) {
      const wrong = errorOf({ ...oldStyle, rope_theta: theta });
      expect(wrong.what).toContain(String(theta));
      expect(wrong.next).toContain("rope_theta");
    }
    expect(errorOf({ ...oldStyle, rope_scaling: { type: "linear", factor: 0 } }).next).toContain("factor");
  });

  it("refuses an epsilon at or below zero, with which a norm gives NaN", () => {
    for (const eps of [-1, -1e-6, 0]) {
      const { what, next } = errorOf({ ...llama, rms_norm_eps: eps });
      expect(what).toBe(`the key rms_norm_eps is ${eps}, not a number above zero`);
      expect(next).toContain("set rms_norm_eps to a number above zero");
    }
    expect(readSpec({ ...llama, rms_norm_eps: null }).finalNorm.eps).toBe(1e-6);
  });

  it("refuses positions that turn a part of a head, and heads of odd width", () => {
    expect(errorOf({ ...llama, partial_rotary_factor: 0.5 }).message).toContain("partial_rotary_factor");
    expect(errorOf({ ...llama, head_dim: 7 }).message).toContain("7");
  });
});

describe("attention", () => {
  it("derives the width of a head where head_dim is null or absent", () => {
    expect(softmaxOf(readSpec({ ...llama, head_dim: null })).headDim).toBe(8);
    expect(softmaxOf(readSpec(without(llama, "head_dim"))).headDim).toBe(8);
    expect(softmaxOf(readSpec({ ...llama, head_dim: 12 })).headDim).toBe(12);
  });

  it("has as many key heads as query heads where none are named", () => {
    expect(softmaxOf(readSpec(without(llama, "num_key_value_heads"))).kvHeads).toBe(4);
    expect(softmaxOf(readSpec(opt)).kvHeads).toBe(4);
  });

  it("takes what the family's class takes for an absent key, and its rule for a null", () => {
    const wide = { ...llama, hidden_size: 512, num_attention_heads: 32, head_dim: null, sliding_window: null };
    const absent = without(wide, "num_key_value_heads");
    const attention = (model_type: string, config: ModelConfig) => softmaxOf(readSpec({ ...config, model_type }));
    expect(attention("llama", absent).kvHeads).toBe(32);
    expect(attention("mistral", absent).kvHeads).toBe(8);
    expect(attention("mistral", { ...absent, num_key_value_heads: null }).kvHeads).toBe(32);
    expect(attention("qwen2", { ...absent, num_attention_heads: 64, hidden_size: 1024 }).kvHeads).toBe(32);
    expect(attention("qwen2", absent).headDim).toBe(16);
    expect(attention("qwen3", without(absent, "head_dim")).headDim).toBe(128);
  });

  it("refuses head counts that do not fit", () => {
    const error = errorOf({ ...llama, num_key_value_heads: 3 });
    expect(error.next).toContain("num_key_value_heads");
  });

  it("reads the sliding window of Mistral, and none where it is null", () => {
    const mistral = tinyModel("mistral, window of 4").config as ModelConfig;
    expect(softmaxOf(readSpec(mistral)).slidingWindow).toBe(4);
    expect(softmaxOf(readSpec({ ...mistral, sliding_window: null })).slidingWindow).toBeNull();
    expect(softmaxOf(readSpec(without(mistral, "sliding_window"))).slidingWindow).toBe(4096);
  });

  it("has no window in a Llama, whatever its configuration was copied from", () => {
    expect(softmaxOf(readSpec({ ...llama, sliding_window: 256, use_sliding_window: true })).slidingWindow).toBeNull();
  });

  it.each(["qwen2", "qwen3"])("%s: a window only where it is switched on, in the blocks that it reaches", (name) => {
    const qwen = {
      ...(tinyModel("qwen2").config as ModelConfig),
      ...{ model_type: name, num_hidden_layers: 3, layer_types: null, head_dim: 8, sliding_window: 16 },
    };
    const windows = (config: ModelConfig) => {
      const spec = readSpec({ ...qwen, ...config });
      return spec.blocks.map((_, k) => softmaxOf(spec, k).slidingWindow);
    };
    const types = (...sliding: boolean[]) => sliding.map((s) => (s ? "sliding_attention" : "full_attention"));
    const none = [null, null, null];
    expect(windows({ use_sliding_window: false })).toEqual(none);
    expect(windows({ use_sliding_window: true })).toEqual(none);
    expect(windows({ use_sliding_window: true, max_window_layers: 3 })).toEqual(none);
    expect(windows({ use_sliding_window: true, max_window_layers: 0 })).toEqual([16, 16, 16]);
    expect(windows({ use_sliding_window: true, max_window_layers: 2 })).toEqual([null, null, 16]);
    expect(windows({ use_sliding_window: true, max_window_layers: 0, sliding_window: null })).toEqual(none);
    expect(windows({ use_sliding_window: true, layer_types: types(false, false, false) })).toEqual(none);
    expect(windows({ use_sliding_window: true, layer_types: types(true, true, true) })).toEqual([16, 16, 16]);
    expect(windows({ use_sliding_window: true, layer_types: types(true, false, true) })).toEqual([16, null, 16]);
    const refused = (config: ModelConfig) => errorOf({ ...qwen, use_sliding_window: true, ...config });
    expect(refused({ layer_types: types(true) }).what).toContain("no list of 3");
    expect(refused({ layer_types: ["a", "b", "c"] }).next).toContain("full_attention or sliding_attention");
    expect(refused({ use_sliding_window: false, layer_types: types(true, true, true) }).what).toContain("is off");
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
    const [unit] = decoderUnits(readSpec(tinyModel(name).config as ModelConfig));
    expect(unit?.layers.filter(({ bias }) => bias).map(({ name: role }) => role)).toEqual(roles);
  });
});

describe("names and shapes", () => {
  it.each(["llama", "llama, biases, tied, wide heads", "qwen3", "opt"])(
    "%s: every Linear is a tensor of the checkpoint",
    (name) => {
      const { config, tensors } = tinyModel(name);
      const unit = decoderUnits(readSpec(config as ModelConfig))[1];
      for (const { module, rows, columns } of unit?.layers ?? []) {
        expect(tensors[`${module}.weight`]).toEqual([rows, columns]);
      }
    },
  );

  it("lists each Linear at one input", () => {
    const [unit] = decoderUnits(readSpec(opt));
    expect(unit?.sites.map((site) => site.consumers)).toEqual([["q", "k", "v"], ["o"], ["up"], ["down"]]);
  });
});

describe("refusals", () => {
  it("lists the families that work", () => {
    const error = errorOf({ ...llama, model_type: "mamba" });
    expect(error.what).toContain("mamba");
    for (const family of families.keys()) expect(error.next).toContain(family);
  });

  it.each(["model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"])(
    "names the missing key %s",
    (key) => {
      const error = errorOf(without(llama, key));
      expect(error.what).toContain(key);
      expect(error.next).toContain(key);
    },
  );

  it.each([
    ["llama", "silu", 2048],
    ["mistral, window of 4", "silu", 131072],
    ["qwen2", "silu", 32768],
    ["opt", "relu", 2048],
  ])("%s without activation and context has those of its class", (name, activation, context) => {
    const config = tinyModel(name).config as ModelConfig;
    const keys = ["hidden_act", "activation_function", "max_position_embeddings"];
    const spec = readSpec(keys.reduce(without, config));
    expect([spec.blocks[0]?.mlp.activation, spec.maxPositions]).toEqual([activation, context]);
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

it("refuses more blocks or experts than can be listed, before lists of them are made", () => {
  expect(errorOf({ ...llama, num_hidden_layers: 1e9 }).message).toMatch(
    /num_hidden_layers is 1000000000.*at most 65536/,
  );
  const experts = { ...llama, model_type: "mixtral", num_local_experts: 1e9 };
  expect(errorOf(experts).message).toMatch(/num_local_experts is 1000000000.*at most 65536/);
});
