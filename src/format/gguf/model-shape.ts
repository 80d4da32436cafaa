import {
  type ModelConfig,
  optionalBoolean,
  optionalNumber,
  optionalString,
  requireNumber,
  requireString,
} from "../../checkpoint/model-config.js";
import { FormatError } from "../../errors.js";
import { type GgufFamily, ggufFamily } from "./tensor-names.js";

/** What GGUF needs to know of a `config.json`. */
export interface ModelShape {
  readonly family: GgufFamily;
  readonly layers: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
  readonly contextLength: number;
  readonly normEpsilon: number;
  readonly tied: boolean;
}

/** Reads a configuration, and refuses what llama.cpp's graph of this family would compute differently. */
export function modelShape(config: ModelConfig): ModelShape {
  const family = ggufFamily(requireString(config, "model_type"));
  const hidden = requireNumber(config, "hidden_size");
  const heads = requireNumber(config, "num_attention_heads");
  refuseUnlessDefault(config, "hidden_act", optionalString(config, "hidden_act") ?? "silu", "silu");
  refuseUnlessDefault(config, "partial_rotary_factor", optionalNumber(config, "partial_rotary_factor") ?? 1, 1);
  return {
    family,
    layers: requireNumber(config, "num_hidden_layers"),
    hidden,
    feedForward: requireNumber(config, "intermediate_size"),
    heads,
    keyValueHeads: optionalNumber(config, "num_key_value_heads") ?? heads,
    headDim: optionalNumber(config, "head_dim") ?? family.defaultHeadDim ?? hidden / heads,
    vocabulary: requireNumber(config, "vocab_size"),
    contextLength: contextLength(config, family),
    normEpsilon: requireNumber(config, "rms_norm_eps"),
    tied: optionalBoolean(config, "tie_word_embeddings") ?? false,
  };
}

/**
 * llama.cpp attends to the whole context in these architectures. That equals a sliding window as long as the
 * text is no longer than the window, so the window is the longest context that the file may promise.
 */
function contextLength(config: ModelConfig, family: GgufFamily): number {
  const positions = requireNumber(config, "max_position_embeddings");
  const window = optionalNumber(config, "sliding_window");
  const used = family.architecture === "llama" || optionalBoolean(config, "use_sliding_window") === true;
  return window === undefined || !used ? positions : Math.min(positions, window);
}

function refuseUnlessDefault(config: ModelConfig, key: string, value: unknown, expected: unknown): void {
  if (value === expected) return;
  throw new FormatError({
    what: `${key} is ${JSON.stringify(config[key])}, and llama.cpp computes this family with ${JSON.stringify(expected)}`,
    where: "config.json",
    next: "use --format compressed-tensors or onnx",
  });
}
