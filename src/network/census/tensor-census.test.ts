import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import { keep, Tensor } from "../../tensor/index.js";
import { Decoder } from "../decoder/decoder.js";
import { decoderUnits } from "../decoder/decoder-units.js";
import { modelSpec } from "../decoder/spec/model-spec.js";
import { networkTensors } from "../decoder/spec/network-tensors.js";
import { readSpec } from "../decoder/spec/read-spec.js";
import { softmaxOf } from "../testing/softmax-of.js";
import { goldens, tinyModel } from "../testing/tiny-models.js";
import type { UnitPlan } from "../unit.js";
import { loadUnit, unitTensors } from "../unit-weights.js";
import { type CountedTensor, type LeftOutTensors, someNames, takeCensus } from "./tensor-census.js";

const llama = tinyModel("llama");

/** The census of a tiny model with more tensors than it reads. */
function census(
  extra: readonly string[],
  { model = llama, config = {}, dtype = "F32" }: { model?: typeof llama; config?: object; dtype?: "F32" | "BOOL" } = {},
): readonly LeftOutTensors[] {
  const whole = { ...model.config, ...config } as ModelConfig;
  const names = [...Object.keys(model.tensors), ...extra];
  const stored = names.map((name): CountedTensor => {
    return { name, dtype: extra.includes(name) ? dtype : "F32", byteLength: 4 };
  });
  const spec = modelSpec(whole, (name) => names.includes(name));
  const { read, leftOut } = takeCensus(spec, whole, stored);
  const all = [...read, ...leftOut.flatMap(({ tensors }) => tensors)];
  expect(all.toSorted()).toEqual(names.toSorted());
  return leftOut;
}

describe.each(Object.keys(goldens.models))("%s", (name) => {
  const model = tinyModel(name);
  const spec = readSpec(model.config as ModelConfig);

  it("reads exactly the tensors that loading asks for, in their shapes", () => {
    const asked = new Map<string, readonly number[]>();
    const source = (tensor: string, shape: readonly number[]): Tensor => {
      asked.set(tensor, shape);
      return keep(Tensor.zeros(shape));
    };
    Decoder.load(source, spec).dispose();
    const byName = (shapes: Iterable<readonly [string, readonly number[]]>): unknown => Object.fromEntries(shapes);
    expect(byName(networkTensors(spec))).toEqual(byName(asked));
    asked.clear();
    const first = decoderUnits(spec)[0] as UnitPlan;
    loadUnit(source, first).dispose();
    expect([...unitTensors(first)]).toEqual([...asked]);
  });

  it("leaves nothing of its own checkpoint out", () => {
    expect(census([], { model })).toEqual([]);
  });
});

describe("tensors that the network does not read", () => {
  const layer = "model.layers.0";

  it.each([
    ["model.layers.0.self_attn.rotary_emb.inv_freq", "rotary-table", false],
    ["model.rotary_emb.cos_cached", "rotary-table", false],
    ["model.causal_mask", "buffer", false],
    ["transformer.h.0.attn.masked_bias", "buffer", false],
    ["model.embeddings.position_ids", "buffer", false],
    ["model.mtp.layers.0.self_attn.q_proj.weight", "multi-token-prediction", true],
    ["mtp.fc.weight", "multi-token-prediction", true],
    ["medusa_head.0.0.linear.weight", "multi-token-prediction", true],
    ["score.weight", "classifier-head", true],
    ["qa_outputs.bias", "classifier-head", true],
    ["v_head.summary.weight", "value-head", true],
    ["vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.bias", "other-modality", true],
    ["model.visual.blocks.0.attn.qkv.weight", "other-modality", true],
    ["multi_modal_projector.linear_1.weight", "other-modality", true],
    ["audio_tower.conv1.weight", "other-modality", true],
    [`${layer}.self_attn.q_proj.lora_A.weight`, "adapter", true],
    [`${layer}.self_attn.k_scale`, "quantization-scale", true],
    ["model.model.norm.weight", "other-prefix", true],
    ["norm.weight", "other-prefix", true],
    [`_orig_mod.${layer}.input_layernorm.weight`, "other-prefix", true],
    [`${layer}.self_attn.q_norm.weight`, "unread", true],
    [`${layer}.mlp.experts.0.up_proj.weight`, "unread", true],
    ["something.else", "unread", true],
  ])("%s: %s", (name, reason, matters) => {
    const [group, ...others] = census([name]);
    expect(others).toEqual([]);
    expect(group).toMatchObject({ reason, matters, tensors: [name], bytes: 4 });
    expect(group?.next).toMatch(matters ? /./ : /^nothing to do$/);
  });

  it("masks are known by their type too", () => {
    expect(census(["model.strange"], { dtype: "BOOL" })[0]?.reason).toBe("buffer");
  });

  it("a head beside a tied embedding", () => {
    const [group] = census(["lm_head.weight"], { model: tinyModel("opt") });
    expect(group).toMatchObject({ reason: "tied-head", matters: false });
  });

  it("a classifier's head is named as config.json names it", () => {
    const [group] = census(["score.weight"], { config: { architectures: ["LlamaForSequenceClassification"] } });
    expect(group?.what).toContain("LlamaForSequenceClassification");
    expect(census(["score.weight"], { config: { architectures: ["LlamaForCausalLM"] } })[0]?.what).not.toContain(
      "Causal",
    );
  });

  it("blocks after the last: of a wrong count, or heads that predict further tokens", () => {
    const { num_hidden_layers: count } = llama.config;
    const beyond = Object.keys(llama.tensors)
      .filter((name) => name.startsWith(`${layer}.`))
      .map((name) => name.replace("layers.0.", `layers.${count}.`));
    const [wrong, ...none] = census(beyond);
    expect(none).toEqual([]);
    expect(wrong).toMatchObject({ reason: "block-beyond", tensors: beyond });
    expect(wrong?.what).toContain(`counts ${count}`);
    const [heads] = census([...beyond, `model.layers.${count}.eh_proj.weight`]);
    expect(heads).toMatchObject({ reason: "multi-token-prediction" });
    expect(heads?.tensors).toHaveLength(beyond.length + 1);
    const [counted] = census(beyond, { config: { num_nextn_predict_layers: 1 } });
    expect(counted?.reason).toBe("multi-token-prediction");
  });

  it("groups what has one reason, and shows three names", () => {
    const names = ["a", "b", "c", "d", "e"].map((part) => `vision_tower.${part}.weight`);
    const groups = census([...names, "v_head.weight"]);
    expect(groups.map(({ reason, tensors }) => [reason, tensors.length])).toEqual([
      ["other-modality", 5],
      ["value-head", 1],
    ]);
    expect(someNames(names)).toBe("vision_tower.a.weight, vision_tower.b.weight, vision_tower.c.weight and 2 more");
    expect(someNames(names.slice(0, 3))).not.toContain("more");
  });
});

describe("biases that config.json does not speak of", () => {
  const blocks = Number(llama.config["num_hidden_layers"]);
  const biases = (...modules: readonly string[]): string[] =>
    Array.from({ length: blocks }, (_, k) => modules.map((module) => `model.layers.${k}.${module}.bias`)).flat();
  const qkv = biases("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
  const mlp = biases("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj");

  it("name the key that has them read, and reading them then takes nothing else", () => {
    const [attention, ofMlp] = census([...qkv, ...mlp]);
    expect(attention).toMatchObject({ reason: "undeclared-bias", tensors: qkv });
    expect(attention?.next).toContain('set "attention_bias": true in config.json');
    expect(ofMlp).toMatchObject({ reason: "undeclared-bias", tensors: mlp });
    expect(ofMlp?.next).toContain('set "mlp_bias": true in config.json');
    expect(census([...qkv, ...mlp], { config: { attention_bias: true, mlp_bias: true } })).toEqual([]);
  });

  it("count as one with those of the output", () => {
    const all = [...qkv, ...biases("self_attn.o_proj")];
    expect(census(all)).toHaveLength(1);
    expect(census(all, { config: { attention_bias: true } })).toEqual([]);
  });

  it("name no key that would not work", () => {
    const [group] = census(biases("mlp.down_proj"));
    expect(group?.next).toMatch(/with "mlp_bias": true it needs model\.layers\.0\.mlp\.gate_proj\.bias/);
  });

  it("of families without such a key, and of norms, point to model_type", () => {
    const mistral = { ...llama, config: { ...llama.config, model_type: "mistral" } };
    for (const model of [mistral, tinyModel("qwen2")]) {
      const [group] = census(["model.layers.0.mlp.up_proj.bias", "model.norm.bias"], { model });
      expect(group?.tensors).toHaveLength(2);
      expect(group?.next).toMatch(new RegExp(`model_type in config.json \\("${model.config["model_type"]}"\\)`));
    }
  });

  it("of OPT, whose key says that there are none", () => {
    const model = tinyModel("opt");
    const [group] = census([], { model, config: { enable_bias: false } });
    expect(group?.next).toContain('set "enable_bias": true in config.json');
  });
});

describe("modelSpec", () => {
  it("has no bias of a kind that the checkpoint lacks, and keeps asking for single ones that are missing", () => {
    const config = { ...llama.config, attention_bias: true } as ModelConfig;
    const spec = modelSpec(config, (name) => /[qkv]_proj\.bias$/.test(name));
    expect(softmaxOf(spec)).toMatchObject({ qkvBias: true, outBias: false });
    const single = modelSpec(config, (name) => name.endsWith("0.self_attn.q_proj.bias"));
    expect(softmaxOf(single).qkvBias).toBe(true);
  });

  it("does not take away biases where none at all is there, which is a damaged checkpoint", () => {
    const config = { ...llama.config, attention_bias: true } as ModelConfig;
    expect(modelSpec(config, () => false)).toEqual(readSpec(config));
    const qwen = tinyModel("qwen2").config as ModelConfig;
    expect(modelSpec(qwen, () => false)).toEqual(readSpec(qwen));
  });

  it("names what a config.json is that has no model_type", () => {
    const unet = { _class_name: "UNet2DConditionModel", _diffusers_version: "0.30.0" };
    expect(() => modelSpec(unet, () => false)).toThrow(
      /diffusers pipeline \(UNet2DConditionModel\).*Next: give the folder/,
    );
    expect(() => modelSpec({ peft_type: "LORA", base_model_name_or_path: "o/b" }, () => false)).toThrow(
      /base o\/b first/,
    );
    expect(() => modelSpec({ hidden_size: 2 }, () => false)).toThrow(/model_type is missing/);
  });
});
