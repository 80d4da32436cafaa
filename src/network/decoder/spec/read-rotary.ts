import { isJsonObject } from "../../../checkpoint/json/json.js";
import {
  type ModelConfig,
  optionalBoolean,
  optionalCount,
  optionalNumber,
  optionalObject,
  optionalString,
  requirePositive,
} from "../../../checkpoint/model-config.js";
import type { PositionSpec, RotaryScaling } from "./decoder-spec.js";
import { unsupportedKey } from "./unsupported-key.js";

const DEFAULT_THETA = 10000;

/**
 * The rotary positions of a configuration, by the rules of transformers 5: everything lies in `rope_parameters`, or, as before,
 * theta stands alone and `rope_scaling` is there when something is scaled. Where both are given, `rope_scaling` wins unless
 * it is empty, and theta is taken from it or from the configuration itself.
 *
 * @throws ModelError naming the key that is missing, no finite number, or not computed
 */
export function readRotary(config: ModelConfig, headDim: number, maxPositions: number): PositionSpec {
  const { key, parameters } = rotaryParameters(config);
  const nested = Object.keys(parameters).find((name) => isJsonObject(parameters[name]));
  if (nested !== undefined)
    throw unsupportedKey(key, `another for each kind of layer (${nested})`, "the same everywhere");
  const partial =
    optionalNumber(parameters, "partial_rotary_factor") ?? optionalNumber(config, "partial_rotary_factor") ?? 1;
  if (partial !== 1) throw unsupportedKey("partial_rotary_factor", String(partial), "1");
  if (headDim % 2 !== 0) throw unsupportedKey("the width of a head", String(headDim), "even, to turn pairs of it");
  const owner = optionalNumber(parameters, "rope_theta") === undefined ? config : parameters;
  const theta =
    optionalNumber(owner, "rope_theta") === undefined ? DEFAULT_THETA : requirePositive(owner, "rope_theta");
  return { kind: "rotary", theta, scaling: readScaling(config, parameters, maxPositions) };
}

/** The object whose rotary parameters count, and the key that holds it. */
export function rotaryParameters(config: ModelConfig): { readonly key: string; readonly parameters: ModelConfig } {
  const scaling = optionalObject(config, "rope_scaling");
  if (scaling !== undefined && Object.keys(scaling).length > 0) return { key: "rope_scaling", parameters: scaling };
  return { key: "rope_parameters", parameters: optionalObject(config, "rope_parameters") ?? {} };
}

/** The kind of scaling by its new key, then by its old one. */
export function rotaryType(parameters: ModelConfig): string {
  return optionalString(parameters, "rope_type") ?? optionalString(parameters, "type") ?? "default";
}

function readScaling(config: ModelConfig, parameters: ModelConfig, maxPositions: number): RotaryScaling {
  const type = rotaryType(parameters);
  const originalContext =
    optionalCount(config, "original_max_position_embeddings") ??
    optionalCount(parameters, "original_max_position_embeddings") ??
    maxPositions;
  switch (type) {
    case "default":
    case "none":
    // It begins beyond max_position_embeddings, the longest context that the network takes.
    case "dynamic":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: requirePositive(parameters, "factor") };
    case "llama3":
      return {
        kind: "llama3",
        factor: requirePositive(parameters, "factor"),
        lowFrequencyFactor: requirePositive(parameters, "low_freq_factor"),
        highFrequencyFactor: requirePositive(parameters, "high_freq_factor"),
        originalContext,
      };
    case "yarn":
      return readYarn(parameters, maxPositions, originalContext);
    default:
      throw unsupportedKey("the rope_type", `"${type}"`, "none, default, dynamic, linear, llama3 or yarn");
  }
}

function readYarn(parameters: ModelConfig, maxPositions: number, originalContext: number): RotaryScaling {
  const implied = parameters["factor"] === null;
  const factor = implied ? maxPositions / originalContext : requirePositive(parameters, "factor");
  const [mscale, ofAllDimensions] = [
    optionalNumber(parameters, "mscale"),
    optionalNumber(parameters, "mscale_all_dim"),
  ];
  const growth = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  return {
    kind: "yarn",
    factor,
    amplitude:
      optionalNumber(parameters, "attention_factor") ??
      (mscale && ofAllDimensions ? growth(mscale) / growth(ofAllDimensions) : growth(1)),
    fastTurns: optionalNumber(parameters, "beta_fast") || 32,
    slowTurns: optionalNumber(parameters, "beta_slow") || 1,
    wholeDimensions: optionalBoolean(parameters, "truncate") ?? true,
    originalContext,
  };
}
