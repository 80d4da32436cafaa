import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelConfig } from "../../../../src/checkpoint/model-config.js";

/** Tiny networks of many families; `CROSSBLOCK_GOLDENS` names others, for variants of them. */
export const goldens = process.env["CROSSBLOCK_GOLDENS"] ?? join(import.meta.dirname, "../../../../../shared/goldens");

/** Their names; none where they are not on this machine. */
export const goldenNames: readonly string[] = existsSync(goldens)
  ? readdirSync(goldens).filter((name) => existsSync(join(goldens, name, "config.json")))
  : [];

/** Numbers that llama.cpp's graph has, where it fixes them and those of a golden are others. */
export const changed: Readonly<Record<string, ModelConfig>> = {
  gemma2: { query_pre_attn_scalar: 16 },
  gemma3_text: { query_pre_attn_scalar: 16 },
  deepseek_v2: { topk_method: "greedy" },
  llama4_text: { attention_chunk_size: 8192 },
  // Beyond its original context llama.cpp takes the long divisors for all of a context.
  phi3_longrope: {
    ...{ max_position_embeddings: 8192, original_max_position_embeddings: 4096 },
    rope_parameters: {
      ...{ rope_theta: 10000, rope_type: "longrope", partial_rotary_factor: 1, original_max_position_embeddings: 4096 },
      long_factor: [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7],
      short_factor: [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
    },
  },
  // As llama.cpp rounds it.
  gpt_oss: {
    rope_parameters: {
      ...{ beta_fast: 32, beta_slow: 1, factor: 4, original_max_position_embeddings: 32 },
      ...{ rope_theta: 150000, rope_type: "yarn", truncate: true },
    },
  },
  exaone4: {
    sliding_window: null,
    layer_types: ["full_attention", "full_attention", "full_attention", "full_attention"],
  },
};

/** A byte-level vocabulary without merges, as large as a network's: the first of GPT-2's signs for bytes. */
export function writeTokenizer(folder: string, size: number): void {
  const printable = [
    ...Array.from({ length: 94 }, (_, i) => 33 + i),
    ...Array.from({ length: 200 }, (_, i) => 256 + i),
  ];
  const vocab = Object.fromEntries(printable.slice(0, size).map((code, id) => [String.fromCodePoint(code), id]));
  const tokenizer = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    post_processor: null,
    model: { type: "BPE", vocab, merges: [] },
  };
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  writeFileSync(join(folder, "tokenizer_config.json"), "{}");
}
