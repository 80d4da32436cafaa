// Shapes of LLaMA-like blocks that are measured.
export const shapes = {
  sotu: { hidden_size: 256, intermediate_size: 768, num_attention_heads: 8, num_key_value_heads: 4 },
  "135m": { hidden_size: 576, intermediate_size: 1536, num_attention_heads: 9, num_key_value_heads: 3 },
  "7b": { hidden_size: 4096, intermediate_size: 11008, num_attention_heads: 32, num_key_value_heads: 32 },
  "65b": { hidden_size: 8192, intermediate_size: 22016, num_attention_heads: 64, num_key_value_heads: 64 },
};

/** The shape of that name, and what else a config.json of so many blocks says. */
export function configOf(name, blocks, vocabulary) {
  const shape = shapes[name];
  if (shape === undefined) throw new Error(`--shape is one of ${Object.keys(shapes).join(", ")}`);
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_act: "silu",
    max_position_embeddings: 4096,
    num_hidden_layers: blocks,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    vocab_size: vocabulary,
    torch_dtype: "bfloat16",
    ...shape,
  };
}
