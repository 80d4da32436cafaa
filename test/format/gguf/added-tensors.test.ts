import { expect, it } from "vitest";
import { planGguf } from "../../../src/format/gguf/plan.js";
import { networkTensors, readSpec } from "../../../src/network/index.js";
import { memorySource } from "../memory-source.js";

const config = {
  ...{ model_type: "gpt_neox", hidden_size: 64, intermediate_size: 128, num_hidden_layers: 1, num_attention_heads: 4 },
  ...{
    vocab_size: 40,
    max_position_embeddings: 32,
    hidden_act: "gelu",
    attention_bias: false,
    tie_word_embeddings: true,
  },
};

it("adds biases of zero and an output matrix where llama.cpp loads no file without them", () => {
  const plain = Object.fromEntries(
    [...networkTensors(readSpec(config))].map(([name, shape]) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, { shape, values: Array.from({ length: count }, () => 1) }];
    }),
  );
  const { tensors, tables } = planGguf(memorySource({ folder: "", config, weights: new Map(), plain }));
  const find = (name: string) => tensors.find((tensor) => tensor.name === name);
  expect(find("output.weight")).toMatchObject({ source: "gpt_neox.embed_in.weight", shape: [40, 64] });
  expect(find("blk.0.attn_qkv.bias")).toMatchObject({ source: null, type: "F32", shape: [192] });
  expect(tables.get("blk.0.attn_output.bias")).toEqual(new Float32Array(64));
  // Those of the MLP are the checkpoint's.
  expect(find("blk.0.ffn_up.bias")).toMatchObject({ source: "gpt_neox.layers.0.mlp.dense_h_to_4h.bias" });
});
