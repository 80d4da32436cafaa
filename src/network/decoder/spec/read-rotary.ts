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
import type { BlockKind, RotaryKeys } from "../families/family.js";
import type { RotaryScaling, RotarySpec } from "./decoder-spec.js";
import { booleanFact } from "./read-facts.js";
import { unsupportedKey } from "./unsupported-key.js";

const DEFAULT_THETA = 10000;

/** What positions a block has is asked for. */
export interface RotaryOf {
  readonly keys: RotaryKeys;
  readonly kind: BlockKind;
  readonly headDim: number;
  readonly maxPositions: number;
}

/**
 * The rotary positions of a configuration, by the rules of transformers 5: everything lies in `rope_parameters`, or, as before,
 * theta stands alone and `rope_scaling` is there when something is scaled. Where both are given, `rope_scaling` wins unless
 * it is empty, and theta is taken from it or from the configuration itself. Families whose kinds of blocks have positions of
 * their own have an object for each kind inside.
 *
 * @throws ModelError naming the key that is missing, no finite number, or not computed
 */
export function readRotary(config: ModelConfig, of: RotaryOf): RotarySpec {
  const { keys, headDim } = of;
  const { parameters, thetaKey, theta: absent, type, partial } = parametersOf(config, of);
  const share =
    optionalNumber(parameters, "partial_rotary_factor") ??
    optionalNumber(config, keys.partial?.key ?? "partial_rotary_factor") ??
    shareOf(config, keys, headDim) ??
    partial;
  const proportional = rotaryType(parameters, type) === "proportional";
  if (keys.partial === undefined && !proportional && share !== 1) {
    throw unsupportedKey("partial_rotary_factor", String(share), "1");
  }
  const width = proportional ? headDim : Math.trunc(headDim * share);
  if (width % 2 !== 0 || headDim % 2 !== 0 || width < 2 || width > headDim) {
    throw unsupportedKey("the width of a head", String(share === 1 ? headDim : width), "even, to turn pairs of it");
  }
  const owner = optionalNumber(parameters, "rope_theta") === undefined ? config : parameters;
  const key = owner === parameters ? "rope_theta" : thetaKey;
  const base = key === null || optionalNumber(owner, key) === undefined ? absent : requirePositive(owner, key);
  const theta = base * stretchOf(parameters, keys, headDim);
  const scaling = proportional
    ? ({ kind: "proportional", turning: Math.trunc((headDim * share) / 2), factor: factorOf(parameters) } as const)
    : readScaling(config, parameters, { keys, type, maxPositions: of.maxPositions, pairs: width / 2 });
  const sections = sectionsOf(parameters);
  return { theta, scaling, width, pairs: pairsOf(config, keys), ...(sections !== null && { sections }) };
}

function pairsOf(config: ModelConfig, { pairs = "halves" }: RotaryKeys): RotarySpec["pairs"] {
  if (typeof pairs === "string") return pairs;
  return booleanFact(config, pairs.neighboursBy) ? "neighbours" : "halves";
}

function sectionsOf({ mrope_section: sections }: ModelConfig): readonly number[] | null {
  const numbers = Array.isArray(sections) ? sections.filter((each) => typeof each === "number") : [];
  return numbers.length > 0 ? numbers : null;
}

interface Parameters {
  readonly parameters: ModelConfig;
  readonly thetaKey: string | null;
  readonly theta: number;
  readonly type: string;
  readonly partial: number;
}

function parametersOf(config: ModelConfig, { keys, kind }: RotaryOf): Parameters {
  const { key, parameters } = rotaryParameters(config, keys);
  const nested = Object.keys(parameters).find((name) => isJsonObject(parameters[name]));
  const { thetaKey = "rope_theta", theta = DEFAULT_THETA, kinds } = keys;
  const partial = keys.partial?.default ?? 1;
  if (kinds === undefined) {
    if (nested !== undefined) {
      throw unsupportedKey(key, `another for each kind of layer (${nested})`, "the same everywhere");
    }
    return { parameters, thetaKey, theta, type: "default", partial };
  }
  const own = kinds[kind];
  if (own === undefined)
    throw unsupportedKey(key, `without one for ${kind}`, `for ${Object.keys(kinds).join(" and ")}`);
  // Older configurations have the scaling of one kind alone, and every base beside it.
  const inside = nested === undefined ? (own.scaled ? parameters : {}) : (optionalObject(parameters, kind) ?? {});
  return {
    parameters: inside,
    thetaKey: own.thetaKey ?? null,
    theta: own.theta,
    type: Object.keys(inside).length === 0 ? (own.type ?? "default") : "default",
    partial: Object.keys(inside).length === 0 ? (own.partial ?? partial) : partial,
  };
}

// NTK-aware scaling by a fixed factor: the base grows so that the slowest pair is stretched by it.
function stretchOf(parameters: ModelConfig, { stretchedBase }: RotaryKeys, headDim: number): number {
  if (stretchedBase === undefined || rotaryType(parameters) !== "dynamic") return 1;
  return optionalNumber(parameters, stretchedBase)
    ? requirePositive(parameters, stretchedBase) ** (headDim / (headDim - 2))
    : 1;
}

function shareOf(config: ModelConfig, { widthKey }: RotaryKeys, headDim: number): number | undefined {
  const width = widthKey === undefined ? undefined : optionalCount(config, widthKey);
  return width === undefined ? undefined : width / headDim;
}

function factorOf(parameters: ModelConfig): number {
  return optionalNumber(parameters, "factor") === undefined ? 1 : requirePositive(parameters, "factor");
}

/** The object whose rotary parameters count, and the key that holds it. */
export function rotaryParameters(
  config: ModelConfig,
  keys: RotaryKeys = {},
): { readonly key: string; readonly parameters: ModelConfig } {
  const scaling = optionalObject(config, "rope_scaling");
  if (scaling !== undefined && Object.keys(scaling).length > 0) return { key: "rope_scaling", parameters: scaling };
  return { key: "rope_parameters", parameters: optionalObject(config, "rope_parameters") ?? keys.absent ?? {} };
}

/** The kind of scaling by its new key, then by its old one. */
export function rotaryType(parameters: ModelConfig, absent = "default"): string {
  return optionalString(parameters, "rope_type") ?? optionalString(parameters, "type") ?? absent;
}

interface ScalingOf {
  readonly keys: RotaryKeys;
  readonly type: string;
  readonly maxPositions: number;
  readonly pairs: number;
}

function readScaling(config: ModelConfig, parameters: ModelConfig, of: ScalingOf): RotaryScaling {
  const { keys, maxPositions } = of;
  const named = rotaryType(parameters, of.type);
  const type = named === "yarn" && keys.yarnIsLongRope === true ? "longrope" : named;
  const originalContext =
    optionalCount(config, "original_max_position_embeddings") ??
    optionalCount(parameters, "original_max_position_embeddings") ??
    keys.originalContext ??
    maxPositions;
  switch (type) {
    case "mrope":
      if (keys.multimodal !== true) throw unsupportedKey("the rope_type", '"mrope"', oneOfScalings);
      return { kind: "none" };
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
      return {
        ...readYarn(parameters, maxPositions, originalContext),
        // Of kinds with parameters of their own transformers reads it beside these, for all.
        wholeDimensions: optionalBoolean(rotaryParameters(config, keys).parameters, "truncate") ?? true,
      };
    case "longrope":
    case "su":
      return readLongRope(parameters, { ...of, originalContext });
    default:
      throw unsupportedKey("the rope_type", `"${type}"`, oneOfScalings);
  }
}

const oneOfScalings = "none, default, dynamic, linear, llama3, longrope, proportional or yarn";

function readLongRope(
  parameters: ModelConfig,
  { keys, maxPositions, pairs, originalContext }: ScalingOf & { readonly originalContext: number },
): RotaryScaling {
  const divisors = (key: string): readonly number[] => {
    const value = parameters[key];
    const numbers = Array.isArray(value) ? value.filter((each) => typeof each === "number" && each > 0) : [];
    if (numbers.length !== pairs || !Array.isArray(value) || value.length !== pairs) {
      throw unsupportedKey(
        key,
        `no list of ${pairs} numbers above zero`,
        "that has one for each pair of a head that turns",
      );
    }
    return numbers as readonly number[];
  };
  const factor = optionalNumber(parameters, "factor") ?? maxPositions / originalContext;
  const { longRopeAmplitudes: own } = keys;
  return {
    kind: "longrope",
    short: divisors("short_factor"),
    long: divisors("long_factor"),
    amplitude:
      own !== undefined
        ? requirePositive(parameters, own.short)
        : (optionalNumber(parameters, "attention_factor") ??
          (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalContext)))),
    ...(own !== undefined && { longAmplitude: requirePositive(parameters, own.long) }),
    originalContext,
  };
}

function readYarn(
  parameters: ModelConfig,
  maxPositions: number,
  originalContext: number,
): Omit<Extract<RotaryScaling, { kind: "yarn" }>, "wholeDimensions"> {
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
    originalContext,
  };
}
