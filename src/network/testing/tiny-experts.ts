import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../../checkpoint/safetensors/write-safetensors.js";
import { manualSeed, scope, Tensor } from "../../tensor/index.js";
import { networkTensors, readSpec, storedViews } from "../index.js";

/** Two blocks of Qwen2-MoE, with six experts of which a token has two, and a gated one beside them. */
export const tinyExperts = {
  model_type: "qwen2_moe",
  architectures: ["Qwen2MoeForCausalLM"],
  hidden_size: 32,
  intermediate_size: 48,
  moe_intermediate_size: 16,
  shared_expert_intermediate_size: 32,
  num_experts: 6,
  num_experts_per_tok: 2,
  norm_topk_prob: false,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 64,
  max_position_embeddings: 64,
  tie_word_embeddings: false,
} as const;

/** Writes a network of a configuration with random weights, stored as its family stores them. */
export async function writeRandomModel(folder: string, config: Readonly<Record<string, unknown>>): Promise<void> {
  manualSeed(9);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const spec = readSpec(JSON.parse(JSON.stringify(config)));
  const views = storedViews(spec, (name) => !name.endsWith(".bias"));
  const shapes = new Map<string, readonly number[]>();
  for (const [name, shape] of networkTensors(spec)) {
    const view = views.get(name);
    if (view === undefined) shapes.set(name, shape);
    else for (const from of view.from) shapes.set(from, view.storedShape);
  }
  const tensors = [...shapes].map(([name, shape]) => {
    const values = scope(() => {
      const random = Tensor.randn(shape);
      const norm = name.includes("norm") && shape.length === 1;
      return (norm ? random.mul(0.1).add(1) : random.mul((shape.at(-1) ?? 1) ** -0.5)).toFloat32Array();
    });
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return { name, dtype: "F32", shape, byteLength: bytes.length, bytes: () => bytes } as const;
  });
  await writeSafetensors(folder, tensors);
}
