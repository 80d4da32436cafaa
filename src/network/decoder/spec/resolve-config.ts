import { isDeepStrictEqual } from "node:util";
import type { JsonObject, JsonValue } from "../../../checkpoint/json/json.js";
import { type ModelConfig, optionalString } from "../../../checkpoint/model-config.js";
import { ModelError } from "../../../errors.js";
import type { Family } from "../families/family.js";
import { families } from "../families/index.js";
import type { RotarySpec } from "./decoder-spec.js";
import { rotaryParameters, rotaryType } from "./read-rotary.js";
import { readSpec } from "./read-spec.js";
import { textConfig, withTextKeys } from "./tower/text-tower.js";

/** What is asked of a checkpoint to settle what its `config.json` leaves open. */
export interface TensorFacts {
  has(name: string): boolean;
  /** Whether two tensors that are there hold the same values in the same dtype. */
  same(a: string, b: string): boolean;
}

/** Two facts of a configuration or its tensors that contradict each other, and which of them counts. */
export interface ConfigContradiction {
  readonly what: string;
  readonly next: string;
}

/**
 * The configuration of the network that is computed: where `config.json` contradicts itself or its tensors, what counts
 * stands in place of it, so that every reader of a copy computes the same. Everything else stays as it is.
 *
 * @throws ModelError as `readSpec` does
 */
export function resolveConfig(
  whole: ModelConfig,
  tensors: TensorFacts,
): { readonly config: ModelConfig; readonly contradictions: readonly ConfigContradiction[] } {
  const contradictions: ConfigContradiction[] = [];
  const config = textConfig(whole);
  const changes: Record<string, JsonValue | undefined> = {
    ...foreignKeys(config),
    ...rotaryKeys(config, contradictions),
  };
  const { names, tied } = readSpec(whole, tensors.has);
  const [table, own] = [`${names.embedding}.weight`, `${names.head}.weight`];
  if (tied && tensors.has(table) && tensors.has(own) && !tensors.same(table, own)) {
    changes["tie_word_embeddings"] = false;
    contradictions.push({
      what: `tie_word_embeddings is true, and ${own} differs from ${table}: the network is computed with ${own}, and every export says false`,
      next: `nothing, if the head was trained; if not, delete ${own} from the weights`,
    });
  }
  return { config: withTextKeys(whole, changes), contradictions };
}

// Some readers look for these keys in every family.
function foreignKeys(config: ModelConfig): Record<string, JsonValue | undefined> {
  const family = families.get(optionalString(config, "model_type") ?? "");
  const window = config["sliding_window"] ?? null;
  return {
    ...(family?.attention.slidingWindow === null && window !== null && { sliding_window: null }),
    ...(Object.hasOwn(config, "logit_scale") && !readsLogitScale(family) && { logit_scale: undefined }),
  };
}

function readsLogitScale(family: Family | undefined): boolean {
  const logits = family?.multipliers?.logits;
  return typeof logits === "object" && logits.key === "logit_scale";
}

// In the old spelling, which readers of both know.
function rotaryKeys(config: ModelConfig, contradictions: ConfigContradiction[]): Record<string, JsonValue | undefined> {
  // Positions of several kinds have one spelling alone, and those of images parts that this network does not read.
  const { kinds, multimodal } = families.get(optionalString(config, "model_type") ?? "")?.rotary ?? {};
  if (kinds !== undefined || multimodal === true) return {};
  const positions = rotaryOf(config);
  if (positions === null) return {};
  const { key, parameters } = rotaryParameters(config);
  const [scaling, newer] = [config["rope_scaling"] ?? null, config["rope_parameters"] ?? null];
  const both = scaling !== null && newer !== null;
  const { type, rope_type: _, rope_theta: __, ...rest } = parameters;
  const kind = rotaryType(parameters);
  const twoNames = type !== undefined && type !== null && type !== kind;
  const context = "original_max_position_embeddings";
  const known = "originalContext" in positions.scaling ? positions.scaling.originalContext : null;
  const theta = parameters["rope_theta"] ?? null;
  const twoThetas = theta !== null && (config["rope_theta"] ?? theta) !== theta;
  const twoContexts = known !== null && (rest[context] ?? null) !== null && rest[context] !== known;
  if (!both && !twoNames && !twoThetas && !twoContexts) return {};
  const resolved: JsonObject = { ...rest, rope_type: kind, ...(twoContexts && { [context]: known }) };
  if (both && !isDeepStrictEqual(alone(config), positions)) {
    contradictions.push({
      what: `config.json has rope_parameters and rope_scaling: ${key} counts, with a base of ${positions.theta}, and every export says so`,
      next: "nothing, if that is how the model was trained; if not, delete the other key",
    });
  }
  return {
    rope_parameters: undefined,
    rope_theta: positions.theta,
    rope_scaling: kind === "default" ? null : resolved,
  };
}

// What a reader computes that knows the newer key only; null for what can't be computed.
function alone(config: ModelConfig): RotarySpec | null {
  try {
    return rotaryOf({ ...config, rope_scaling: null });
  } catch (error) {
    if (error instanceof ModelError) return null;
    throw error;
  }
}

// Of the first block that has them.
function rotaryOf(config: ModelConfig): RotarySpec | null {
  for (const { attention } of readSpec(config).blocks) {
    if ("rotary" in attention && attention.rotary !== null) return attention.rotary;
  }
  return null;
}
