import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { readSpec } from "../../../network/index.js";
import { tinyModel } from "../../../network/testing/tiny-models.js";
import { requireRotatedBlocks, scaleKeys } from "./scale-keys.js";

const configOf = (name: string): ModelConfig => tinyModel(name).config as ModelConfig;

describe("factors of a network", () => {
  it("are Granite's keys, with the divisor of its logits", () => {
    expect(scaleKeys(readSpec(configOf("granite")))).toEqual([
      ["embedding_scale", 6],
      ["residual_scale", 0.4],
      ["attention.scale", 0.2],
      ["logit_scale", 2],
    ]);
  });

  it("are none in a Llama, and refused where llama.cpp's graph would leave them out", () => {
    expect(scaleKeys(readSpec(configOf("llama")))).toEqual([]);
    const spec = { ...readSpec(configOf("granite")), family: "llama" };
    expect(() => scaleKeys(spec)).toThrow(/llama with factors.*Next: use --format compressed-tensors/);
  });
});

describe("blocks without positions", () => {
  const smollm3 = { ...configOf("smollm3"), num_hidden_layers: 8, layer_types: null };

  it("are every fourth in a SmolLM3, as llama.cpp has it", () => {
    expect(() =>
      requireRotatedBlocks(readSpec({ ...smollm3, no_rope_layers: null, no_rope_layer_interval: 4 })),
    ).not.toThrow();
    expect(() => requireRotatedBlocks(readSpec(configOf("llama")))).not.toThrow();
  });

  it("are refused elsewhere, with the block", () => {
    const other = readSpec({ ...smollm3, no_rope_layers: [1, 0, 1, 1, 1, 1, 1, 1] });
    expect(() => requireRotatedBlocks(other)).toThrow(/block 1 of this smollm3 has no rotary.*Next: /);
  });
});
