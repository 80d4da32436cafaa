import { isJsonObject, type JsonObject, type JsonValue } from "../../../../checkpoint/json/json.js";
import type { ModelConfig } from "../../../../checkpoint/model-config.js";
import { families } from "../../families/index.js";
import type { TensorNames } from "../decoder-spec.js";

/**
 * Models of text and images, or sound, whose text network is one of our families when no image is there: `model_type` of the whole,
 * and of the text network where `text_config` does not say it.
 */
const wholes: Readonly<Record<string, string>> = {
  gemma3: "gemma3_text",
  gemma4: "gemma4_text",
  idefics3: "llama",
  llama4: "llama4_text",
  llava: "llama",
  llava_next: "llama",
  mistral3: "mistral",
  qwen2_vl: "qwen2_vl_text",
  qwen2_5_vl: "qwen2_5_vl_text",
  qwen3_vl: "qwen3_vl_text",
  qwen3_vl_moe: "qwen3_vl_moe_text",
  qwen3_5: "qwen3_5_text",
  qwen3_5_moe: "qwen3_5_moe_text",
  smolvlm: "llama",
};

/** `model_type` of those, for messages. */
export const modelsWithTower: readonly string[] = Object.keys(wholes);

const TEXT = "text_config";

/** Where checkpoints of such models have what a text model of its own calls `model.` and `lm_head`. */
const places = [
  { body: "model.language_model.", head: "lm_head" },
  { body: "language_model.model.", head: "language_model.lm_head" },
  { body: "model.text_model.", head: "lm_head" },
  { body: "model.", head: "lm_head" },
] as const;

/** Whether the network is a part of what the folder holds. */
export function hasTower(config: ModelConfig): boolean {
  return typeof config["model_type"] === "string" && Object.hasOwn(wholes, config["model_type"]);
}

/**
 * The configuration of the text network: `config` itself, or the part of it that speaks of text, with what its class in
 * transformers takes for sizes that it leaves out.
 */
export function textConfig(config: ModelConfig): ModelConfig {
  const { model_type: whole } = config;
  if (typeof whole !== "string" || !Object.hasOwn(wholes, whole)) return withNewerKeys(config);
  const own = config[TEXT];
  // Older ones have everything side by side.
  const text: JsonObject = isJsonObject(own) ? own : { ...config, model_type: null };
  const modelType = text["model_type"] ?? wholes[whole] ?? null;
  const sizes = families.get(String(modelType))?.sizes ?? {};
  const absent = Object.entries(sizes).filter(([key]) => (text[key] ?? null) === null);
  const tied = [config["tie_word_embeddings"], text["tie_word_embeddings"]].filter((each) => typeof each === "boolean");
  return {
    ...text,
    ...Object.fromEntries(absent),
    model_type: modelType,
    ...(tied.length > 0 && { tie_word_embeddings: tied.includes(true) }),
  };
}

/** A configuration whose older keys are called as newer ones are. */
function withNewerKeys(config: ModelConfig): ModelConfig {
  const older = Object.entries(olderKeys(config)).filter(([key]) => config[key] !== undefined);
  if (older.length === 0) return config;
  const kept = Object.entries(config).filter(([key]) => !older.some(([other]) => other === key));
  return {
    ...Object.fromEntries(kept),
    ...Object.fromEntries(older.map(([key, newer]) => [newer, config[key] ?? null])),
  };
}

function olderKeys({ model_type: modelType }: ModelConfig): Readonly<Record<string, string>> {
  return families.get(String(modelType))?.olderKeys ?? {};
}

/** The same file with other values for its text network; undefined takes a key away. */
export function withTextKeys(
  config: ModelConfig,
  changes: Readonly<Record<string, JsonValue | undefined>>,
): ModelConfig {
  const changed = (part: ModelConfig, keys: Readonly<Record<string, JsonValue | undefined>>): JsonObject => {
    const entries = Object.entries({ ...part, ...keys });
    return Object.fromEntries(entries.filter((entry): entry is [string, JsonValue] => entry[1] !== undefined));
  };
  const text = config[TEXT];
  if (!hasTower(config) || !isJsonObject(text)) {
    const older = Object.entries(olderKeys(config)).filter(([, newer]) => Object.hasOwn(changes, newer));
    return changed(config, { ...changes, ...Object.fromEntries(older.map(([key]) => [key, undefined])) });
  }
  const tied = changes["tie_word_embeddings"];
  const outer = tied === undefined ? {} : { tie_word_embeddings: tied };
  return changed({ ...config, [TEXT]: changed(text, changes) }, outer);
}

/** The names of a text model's tensors where they are a part of what a folder holds. */
export function towerNames(config: ModelConfig, names: TensorNames, has: (tensor: string) => boolean): TensorNames {
  if (!hasTower(config)) return names;
  const moved = (name: string, body: string): string => name.replace(/^model\./, body);
  const { body, head } = places.find((place) => has(`${moved(names.embedding, place.body)}.weight`)) ?? places[0];
  return {
    ...names,
    embedding: moved(names.embedding, body),
    finalNorm: moved(names.finalNorm, body),
    block: moved(names.block, body),
    head,
  };
}
