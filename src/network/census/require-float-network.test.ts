import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { CheckpointError } from "../../errors.js";
import { readSpec } from "../decoder/spec/read-spec.js";
import { tinyModel } from "../testing/tiny-models.js";
import { requireFloatNetwork } from "./require-float-network.js";

const model = tinyModel("llama");
const q = "model.layers.0.self_attn.q_proj";

type Change = (tensors: Map<string, TensorInfo>) => void;

function check(change: Change = () => {}): void {
  const stored = Object.entries(model.tensors).map(([name, shape]) => [name, infoOf(name, shape)] as const);
  const tensors = new Map<string, TensorInfo>(stored);
  change(tensors);
  requireFloatNetwork({ folder: "folder", tensors }, readSpec(model.config as ModelConfig));
}

function infoOf(name: string, shape: readonly number[], dtype: TensorInfo["dtype"] = "F32"): TensorInfo {
  return { name, shape, dtype, file: "model.safetensors", byteLength: 4 };
}

const rename =
  (from: string, to: string): Change =>
  (tensors) => {
    tensors.delete(from);
    tensors.set(to, infoOf(to, [1]));
  };

describe("requireFloatNetwork", () => {
  it("lets a complete checkpoint pass, whatever else it holds", () => {
    expect(() => check()).not.toThrow();
    expect(() =>
      check((tensors) => void tensors.set("v_head.weight", infoOf("v_head.weight", [1], "I64"))),
    ).not.toThrow();
  });

  it.each<[string, Change, RegExp, RegExp]>([
    [
      "is missing",
      (tensors) => void tensors.delete("model.norm.weight"),
      /model\.norm\.weight".*not in the checkpoint/,
      /download/,
    ],
    [
      "is packed",
      rename(`${q}.weight`, `${q}.qweight`),
      /q_proj\.weight".*quantized already.*q_proj\.qweight/,
      /unquantized model/,
    ],
    [
      "is wrapped",
      rename(`${q}.weight`, `${q}.base_layer.weight`),
      /an adapter that is not merged/,
      /merge_and_unload/,
    ],
    [
      "has a prefix",
      rename("model.norm.weight", "model.model.norm.weight"),
      /has "model\.model\.norm\.weight"/,
      /save_pretrained/,
    ],
    ["lacks a prefix", rename("model.norm.weight", "norm.weight"), /has "norm\.weight"/, /save_pretrained/],
    [
      "has another shape",
      (tensors) => void tensors.set("model.norm.weight", infoOf("model.norm.weight", [3])),
      /has shape \[3\], config\.json asks for/,
      /config\.json/,
    ],
    [
      "is in fp8",
      (tensors) =>
        void tensors.set(`${q}.weight`, infoOf(`${q}.weight`, model.tensors[`${q}.weight`] ?? [], "F8_E4M3")),
      /dtype F8_E4M3/,
      /unquantized model/,
    ],
    [
      "has scales beside it, whose names an export needs",
      (tensors) => void tensors.set(`${q}.weight_scale`, infoOf(`${q}.weight_scale`, [1])),
      /q_proj\.weight_scale.*quantized already/,
      /unquantized model/,
    ],
  ])("refuses a tensor that %s", (_, change, message, next) => {
    try {
      check(change);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(CheckpointError);
      expect((error as CheckpointError).message).toMatch(message);
      expect((error as CheckpointError).next).toMatch(next);
    }
  });
});
