import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../src/checkpoint/model-config.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import { olderMembers } from "../../../src/format/mlx/config/older-members.js";
import { storedAsMlx } from "../../../src/format/mlx/stored-as-mlx.js";
import { networkTensors, readSpec } from "../../../src/network/index.js";
import { memorySource } from "../memory-source.js";

const sizes: ModelConfig = {
  ...{ hidden_size: 64, intermediate_size: 96, num_hidden_layers: 4, num_attention_heads: 4, num_key_value_heads: 2 },
  ...{ vocab_size: 40, max_position_embeddings: 64, tie_word_embeddings: true },
};

function sourceOf(config: ModelConfig, without = /^$/): ExportSource {
  const tensors = [...networkTensors(readSpec(config))].filter(([name]) => !without.test(name));
  const plain = Object.fromEntries(
    tensors.map(([name, shape]) => [
      name,
      { shape, values: [...new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(1)] },
    ]),
  );
  return memorySource({ folder: "", config, weights: new Map(), plain });
}

describe("what mlx-lm's model of a family has", () => {
  it.each([
    [
      { ...sizes, model_type: "qwen3", attention_bias: true },
      /queries, keys or values have biases, which mlx-lm's qwen3/,
    ],
    [{ ...sizes, model_type: "qwen2", head_dim: 32 }, /heads are together 128 channels wide/],
    [{ ...sizes, model_type: "cohere2", tie_word_embeddings: false }, /is not the embedding, which mlx-lm's cohere2/],
    [
      { ...sizes, model_type: "nemotron", hidden_act: "silu" },
      /the activation is silu, and that of mlx-lm's nemotron is relu2/,
    ],
    [
      {
        ...sizes,
        model_type: "gemma3_text",
        layer_types: ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
      },
      /which blocks see everything is not every so many-th/,
    ],
  ] as const)("refuses another network before it is written: %#", (config, message) => {
    expect(() => storedAsMlx(sourceOf(config))).toThrow(message);
    expect(() => storedAsMlx(sourceOf(config))).toThrow(/Next: use --format compressed-tensors/);
  });

  it("adds an output matrix that is the embedding", async () => {
    const { source } = storedAsMlx(sourceOf({ ...sizes, model_type: "glm4", head_dim: 16 }));
    expect(await source.readPlain("lm_head.weight")).toEqual(await source.readPlain("model.embed_tokens.weight"));
  });

  it("adds biases of zero beside others that one key speaks of", async () => {
    const config = { ...sizes, model_type: "llama", attention_bias: true };
    const { source } = storedAsMlx(sourceOf(config, /o_proj\.bias$/));
    expect(source.plain.get("model.layers.0.self_attn.o_proj.bias")?.shape).toEqual([64]);
    expect(new Set(await source.readPlain("model.layers.3.self_attn.o_proj.bias"))).toEqual(new Set([0]));
  });

  it("says in numbers and letters which blocks see everything", () => {
    const kinds = (letters: string): string[] =>
      [...letters].map((letter) => (letter === "G" ? "full_attention" : "sliding_attention"));
    expect(olderMembers({ ...sizes, model_type: "cohere2", layer_types: kinds("LGLG") })).toMatchObject({
      sliding_window_pattern: 2,
    });
    expect(
      olderMembers({ ...sizes, model_type: "exaone4", layer_types: kinds("LLGG"), sliding_window_pattern: 4 }),
    ).toMatchObject({ sliding_window_pattern: "LLGG" });
  });
});
