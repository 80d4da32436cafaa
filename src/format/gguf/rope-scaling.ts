import {
  type ModelConfig,
  optionalNumber,
  optionalObject,
  optionalString,
  requireNumber,
} from "../../checkpoint/model-config.js";
import { FormatError } from "../../errors.js";
import type { GgufValue } from "./layout.js";

/** Rotary embedding as GGUF expresses it. */
export interface RopeEncoding {
  readonly base: number;
  /** Keys below `{architecture}.`, for linear and YaRN scaling. */
  readonly keys: ReadonlyMap<string, GgufValue>;
  /** Divisors of the `headDim / 2` frequencies, for `rope_freqs.weight`; null unless Llama 3's scaling is on. */
  readonly factors: Float32Array | null;
}

const DEFAULT_BASE = 10000;

/**
 * Reads `rope_parameters` (transformers 5) or `rope_theta` with `rope_scaling` (transformers 4).
 * Throws a FormatError for kinds of scaling that llama.cpp does not compute for these families.
 */
export function ropeEncoding(config: ModelConfig, headDim: number): RopeEncoding {
  const parameters = optionalObject(config, "rope_parameters") ?? optionalObject(config, "rope_scaling") ?? {};
  const base = optionalNumber(parameters, "rope_theta") ?? optionalNumber(config, "rope_theta") ?? DEFAULT_BASE;
  const kind = optionalString(parameters, "rope_type") ?? optionalString(parameters, "type") ?? "default";
  switch (kind) {
    case "default":
    // Dynamic scaling begins beyond max_position_embeddings, which is the context that the file promises.
    case "dynamic":
      return { base, keys: new Map(), factors: null };
    case "linear":
      return { base, keys: scalingKeys("linear", requireNumber(parameters, "factor")), factors: null };
    case "yarn":
      return { base, keys: yarnKeys(config, parameters), factors: null };
    case "llama3":
      return { base, keys: new Map(), factors: llama3Factors(parameters, base, headDim) };
    default:
      throw new FormatError({
        what: `llama.cpp has no rotary scaling of the kind ${kind} for this family`,
        where: "config.json, rope_parameters",
        next: "use --format compressed-tensors or onnx",
      });
  }
}

function scalingKeys(type: string, factor: number): Map<string, GgufValue> {
  return new Map<string, GgufValue>([
    ["rope.scaling.type", { type: "string", value: type }],
    ["rope.scaling.factor", { type: "f32", value: factor }],
  ]);
}

function yarnKeys(config: ModelConfig, parameters: ModelConfig): Map<string, GgufValue> {
  const factor = requireNumber(parameters, "factor");
  const expected = 0.1 * Math.log(factor) + 1;
  const attention = optionalNumber(parameters, "attention_factor") ?? expected;
  const own = ["mscale", "mscale_all_dim"].find((key) => parameters[key] !== undefined && parameters[key] !== null);
  if (own !== undefined || Math.abs(attention - expected) > 1e-6) {
    throw new FormatError({
      what: `YaRN with its own ${own ?? "attention_factor"}: llama.cpp computes ${expected.toFixed(4)} from the factor`,
      where: "config.json, rope_parameters",
      next: "use --format compressed-tensors or onnx",
    });
  }
  const original =
    optionalNumber(parameters, "original_max_position_embeddings") ?? requireNumber(config, "max_position_embeddings");
  const keys = scalingKeys("yarn", factor);
  keys.set("rope.scaling.original_context_length", { type: "u32", value: original });
  for (const [key, ours] of [
    ["beta_fast", "rope.scaling.yarn_beta_fast"],
    ["beta_slow", "rope.scaling.yarn_beta_slow"],
  ] as const) {
    const value = optionalNumber(parameters, key);
    if (value !== undefined) keys.set(ours, { type: "f32", value });
  }
  return keys;
}

/** Llama 3.1's frequency-dependent scaling: long waves divided by `factor`, short ones kept, a ramp in between. */
function llama3Factors(parameters: ModelConfig, base: number, headDim: number): Float32Array {
  const factor = requireNumber(parameters, "factor");
  const low = requireNumber(parameters, "low_freq_factor");
  const high = requireNumber(parameters, "high_freq_factor");
  const original = requireNumber(parameters, "original_max_position_embeddings");
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * base ** ((2 * i) / headDim);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const kept = (original / wavelength - low) / (high - low);
    return 1 / ((1 - kept) / factor + kept);
  });
}
