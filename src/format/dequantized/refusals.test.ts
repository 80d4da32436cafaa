import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../checkpoint/json/json.js";
import { bf16, f32, read, type Stored } from "./testing/read-stored.js";

/** 1, with four bits of exponent and three of fraction. */
const one = 0x38;
const e4m3 = { quant_method: "fp8", fmt: "e4m3", activation_scheme: "dynamic", weight_block_size: [2, 2] };

describe("what contradicts itself or is not read", () => {
  const codes: Stored = ["F8_E4M3", [2, 2], [one, one, one, one]];
  it.each([
    ["a weight without its scale", { "a.weight": codes }, /"a\.weight_scale_inv", which it needs, is not/],
    [
      "scales of another shape",
      { "a.weight": codes, "a.weight_scale_inv": ["F32", [3], f32(1, 1, 1)] },
      /\[3\].*\[1, 1\]/,
    ],
    [
      "scales of another type",
      { "a.weight": codes, "a.weight_scale_inv": ["I32", [1], Int32Array.of(1)] },
      /dtype I32/,
    ],
    ["a scale that is no number", { "a.weight": codes, "a.weight_scale_inv": ["F32", [1], f32(Number.NaN)] }, /finite/],
    [
      "two kinds of scales",
      { "a.weight": codes, "a.weight_scale_inv": ["F32", [1], f32(1)], "a.weight_scale": ["F32", [1], f32(1)] },
      /two kinds of scales/,
    ],
    ["scales without a weight", { "a.weight": codes, "b.weight_scale_inv": ["F32", [1], f32(1)] }, /a\.weight/],
    [
      "scales of floats",
      { "b.weight": ["BF16", [1], bf16(1)], "b.weight_scale_inv": ["F32", [1], f32(1)] },
      /BF16, no fp8/,
    ],
    ["no weight of the kind", { "b.weight": ["BF16", [1], bf16(1)] }, /says fp8, and no weight is stored so.*remove/],
  ] as const)("%s", async (_name, tensors, message) => {
    await expect(read(e4m3, tensors as unknown as Record<string, Stored>)).rejects.toThrow(message);
  });

  const plain: Readonly<Record<string, Stored>> = { "b.weight": ["BF16", [1], bf16(1)] };
  it.each([
    [
      { quant_method: "bitsandbytes", load_in_4bit: true },
      /quantized already \(bitsandbytes\).*fp8.*unquantized model/,
    ],
    [{ quant_method: "modelopt", quant_algo: "NVFP4" }, /modelopt, NVFP4/],
    [{ bits: 4 }, /no quant_method/],
    [{ ...e4m3, weight_block_size: [128] }, /weight_block_size is \[128\]/],
    [{ quant_method: "compressed-tensors", sparsity_config: { format: "sparse-24" } }, /sparsity_config/],
    [
      {
        quant_method: "compressed-tensors",
        config_groups: { g: { targets: ["Linear"], weights: { type: "float", num_bits: 4 } } },
      },
      /floats of 4 bits/,
    ],
  ] as const)("%j", async (quantization, message) => {
    await expect(read(quantization as unknown as JsonObject, plain)).rejects.toThrow(message);
  });
});
