import { expect, it } from "vitest";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import { CheckpointError } from "../../errors.js";
import { readSpec } from "../decoder/spec/read-spec.js";
import { tinyModel } from "../testing/tiny-models.js";
import { requireTensors } from "./require-tensors.js";

function refusal(name: string, change: (shapes: Map<string, readonly number[]>) => void, config: ModelConfig = {}) {
  const { tensors, config: own } = tinyModel(name);
  const shapes = new Map(Object.entries(tensors));
  change(shapes);
  try {
    requireTensors(readSpec({ ...(own as ModelConfig), ...config }), "/model", (tensor) => shapes.get(tensor));
  } catch (error) {
    if (error instanceof CheckpointError) return error;
    throw error;
  }
  return null;
}

it.each(["llama", "llama, biases, tied, wide heads", "mistral, window of 4", "qwen2", "qwen3", "opt"])(
  "%s: every tensor of the network is there, and each is missed",
  (name) => {
    expect(refusal(name, () => {})).toBeNull();
    for (const tensor of Object.keys(tinyModel(name).tensors)) {
      const error = refusal(name, (shapes) => shapes.delete(tensor));
      expect(error?.where, tensor).toContain(tensor);
    }
  },
);

it("names both ways out where a head is missing", () => {
  const error = refusal("llama, biases, tied, wide heads", () => {}, { tie_word_embeddings: false });
  expect(error?.where).toContain("lm_head.weight");
  expect(error?.next).toMatch(/tie_word_embeddings to true in \/model\/config.json.*download.*lm_head.weight/);
});

it("names an embedding that has other rows than the vocabulary", () => {
  const error = refusal("llama", (shapes) => shapes.set("model.embed_tokens.weight", [40, 32]));
  expect(error?.what).toMatch(/shape \[40, 32\], config.json asks for \[\d+, 32\]/);
  expect(error?.next).toContain("config.json");
});
