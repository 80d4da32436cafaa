import type { JsonObject } from "../../../src/checkpoint/json/json.js";
import type { TensorInfo } from "../../../src/checkpoint/tensor-reader.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";

/** Where the text network of a larger model lies, and what the larger model is. */
export interface Tower {
  readonly type: string;
  readonly textType: string;
  /** What stands in place of `model.` */
  readonly body: string;
  readonly head: string;
  /** Members of the text's configuration that the larger model has otherwise. */
  readonly text?: JsonObject;
}

const beside: Readonly<Record<string, readonly number[]>> = {
  "vision_tower.patch_embed.weight": [4, 4],
  "multi_modal_projector.linear_1.weight": [8, 4],
};

/** A text network as a part of a model of text and images. */
export function towerSource(source: ExportSource, { type, textType, body, head, text }: Tower): ExportSource {
  const renamed = (name: string): string =>
    name.startsWith("lm_head") ? name.replace("lm_head", head) : name.replace(/^model\./, body);
  const back = new Map([...source.linears.keys(), ...source.plain.keys()].map((name) => [renamed(name), name]));
  const original = (name: string): string => back.get(name) ?? name;
  const plain = new Map<string, TensorInfo>(
    [...source.plain].map(([name, info]) => [renamed(name), { ...info, name: renamed(name) }]),
  );
  for (const [name, shape] of Object.entries(beside)) {
    const byteLength = shape.reduce((product, size) => product * size, 4);
    plain.set(name, { name, dtype: "F32", shape, file: "model.safetensors", byteLength });
  }
  return {
    ...source,
    config: {
      model_type: type,
      text_config: { ...source.config, model_type: textType, ...text },
      vision_config: { depth: 1, ...(/^qwen3_vl/.test(type) && { deepstack_visual_indexes: [0, 1] }) },
    },
    linears: new Map([...source.linears].map(([name, layout]) => [renamed(name), layout])),
    plain,
    readQuantized: (name) => source.readQuantized(original(name)),
    async readPlain(name) {
      const info = plain.get(name);
      return Object.hasOwn(beside, name) ? new Uint8Array(info?.byteLength ?? 0) : source.readPlain(original(name));
    },
  };
}

/** Text networks of the goldens, as parts of models that have such a network. */
export const towers: Readonly<Record<string, Tower & { readonly golden: string }>> = {
  gemma3: { golden: "gemma3_text", type: "gemma3", textType: "gemma3_text", ...outer("language_model.") },
  gemma4: { golden: "gemma4_text", type: "gemma4", textType: "gemma4_text", ...inner("model.language_model.") },
  "gemma4, experts": {
    golden: "gemma4_text_moe",
    type: "gemma4",
    textType: "gemma4_text",
    ...inner("model.language_model."),
  },
  idefics3: { golden: "llama-gqa", type: "idefics3", textType: "llama", ...inner("model.text_model.") },
  smolvlm: { golden: "llama_yarn", type: "smolvlm", textType: "llama", ...inner("model.text_model.") },
  llama4: { golden: "llama4_text", type: "llama4", textType: "llama4_text", ...outer("language_model.") },
  llava: { golden: "llama_yarn", type: "llava", textType: "llama", ...inner("model.language_model.") },
  llava_next: { golden: "mistral", type: "llava_next", textType: "mistral", ...outer("language_model.") },
  mistral3: { golden: "mistral", type: "mistral3", textType: "mistral", ...inner("model.language_model.") },
  qwen2_vl: { golden: "qwen2", type: "qwen2_vl", textType: "qwen2_vl_text", ...inner("model.") },
  qwen2_5_vl: { golden: "qwen2", type: "qwen2_5_vl", textType: "qwen2_5_vl_text", ...inner("model.language_model.") },
  qwen3_vl: { golden: "qwen3", type: "qwen3_vl", textType: "qwen3_vl_text", ...inner("model.language_model.") },
  qwen3_vl_moe: {
    golden: "qwen3_moe",
    type: "qwen3_vl_moe",
    textType: "qwen3_vl_moe_text",
    ...inner("model.language_model."),
  },
  qwen3_5: { golden: "qwen3_5_text", type: "qwen3_5", textType: "qwen3_5_text", ...inner("model.language_model.") },
  qwen3_5_moe: {
    golden: "qwen3_5_moe_text",
    type: "qwen3_5_moe",
    textType: "qwen3_5_moe_text",
    ...inner("model.language_model."),
  },
};

function inner(body: string): Pick<Tower, "body" | "head"> {
  return { body, head: "lm_head" };
}

function outer(prefix: string): Pick<Tower, "body" | "head"> {
  return { body: `${prefix}model.`, head: `${prefix}lm_head` };
}
