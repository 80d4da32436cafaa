// Shapes of blocks that are measured: LLaMA's where it is not said otherwise.
export const shapes = {
  sotu: { hidden_size: 256, intermediate_size: 768, num_attention_heads: 8, num_key_value_heads: 4 },
  "135m": { hidden_size: 576, intermediate_size: 1536, num_attention_heads: 9, num_key_value_heads: 3 },
  "7b": { hidden_size: 4096, intermediate_size: 11008, num_attention_heads: 32, num_key_value_heads: 32 },
  "65b": { hidden_size: 8192, intermediate_size: 22016, num_attention_heads: 64, num_key_value_heads: 64 },
  "mistral-7b": {
    ...{ model_type: "mistral", sliding_window: 4096 },
    ...{ hidden_size: 4096, intermediate_size: 14336, num_attention_heads: 32, num_key_value_heads: 8 },
  },
  "qwen2-0.5b": {
    ...{ model_type: "qwen2", use_sliding_window: false },
    ...{ hidden_size: 896, intermediate_size: 4864, num_attention_heads: 14, num_key_value_heads: 2 },
  },
  "qwen3-0.6b": {
    ...{ model_type: "qwen3", head_dim: 128 },
    ...{ hidden_size: 1024, intermediate_size: 3072, num_attention_heads: 16, num_key_value_heads: 8 },
  },
  "opt-1.3b": {
    ...{ model_type: "opt", activation_function: "relu", do_layer_norm_before: true, word_embed_proj_dim: 2048 },
    ...{ hidden_size: 2048, ffn_dim: 8192, num_attention_heads: 32 },
  },
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
