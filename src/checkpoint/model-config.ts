import { join } from "node:path";
import { ModelError } from "../errors.js";
import { foreignFolder } from "./foreign-folder.js";
import { clip, isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from "./json/json.js";
import { jsonText } from "./json/json-text.js";
import { ModelFolder } from "./model-folder.js";

export type { JsonValue } from "./json/json.js";

/** A parsed `config.json`, as the model's author wrote it. */
export type ModelConfig = JsonObject;

/** Bytes of the largest `config.json` that is read; real ones have some kilobytes. */
const maxConfigLength = 4_000_000;

/**
 * Reads `config.json` of a model folder.
 * @throws CheckpointError when the folder doesn't exist or the file is not a JSON object
 * @throws ModelError when there is no config.json in it, with what the folder is instead where that can be told
 */
export async function readModelConfig(folder: string): Promise<ModelConfig> {
  const where = join(folder, "config.json");
  const source = ModelFolder.open(folder);
  const text = source.readText("config.json", maxConfigLength);
  if (text === null) {
    const foreign = foreignFolder(source);
    if (foreign !== null) throw new ModelError({ ...foreign, where: folder });
    throw new ModelError({
      what: "no config.json in this folder",
      where: folder,
      why: "a model is a Hugging Face folder with config.json, tokenizer.json and safetensors weights",
      next: "give the folder of a complete download (not its parent, and not a file in it)",
    });
  }
  return parseJsonObject(text, where);
}

function wrong(key: string, value: JsonValue | undefined, expected: string): ModelError {
  const shown = value === undefined ? "" : clip(jsonText(value));
  return new ModelError({
    what: value === undefined ? `the key ${key} is missing` : `the key ${key} is ${shown}, not ${expected}`,
    where: "config.json",
    next: `set ${key} to ${expected} in config.json; compare it with the one of the model's source`,
  });
}

/** The value of an own key; null counts as absent, as in the Python classes that write these files. */
function get(config: ModelConfig, key: string): JsonValue | undefined {
  return Object.hasOwn(config, key) ? (config[key] ?? undefined) : undefined;
}

/** @throws ModelError naming the key when it is absent or no finite number */
export function requireNumber(config: ModelConfig, key: string): number {
  const value = optionalNumber(config, key);
  if (value === undefined) throw wrong(key, undefined, "a number");
  return value;
}

/** As `requireNumber`, above zero. */
export function requirePositive(config: ModelConfig, key: string): number {
  const value = requireNumber(config, key);
  if (value <= 0) throw wrong(key, value, "a number above zero");
  return value;
}

/** A size or a count: an integer of at least 1. */
export function requireCount(config: ModelConfig, key: string): number {
  const value = optionalCount(config, key);
  if (value === undefined) throw wrong(key, undefined, "a positive integer");
  return value;
}

/** More blocks, or experts of one, than any model has: lists are made of so many. */
const MOST_PARTS = 65_536;

/**
 * The number of parts that a network is listed by, blocks or the experts of one.
 *
 * @throws ModelError for more than `MOST_PARTS`, whose lists would end the process for want of memory
 */
export function listedParts(key: string, count: number): number {
  if (count > MOST_PARTS) throw wrong(key, count, `a number of at most ${MOST_PARTS}`);
  return count;
}

export function requireString(config: ModelConfig, key: string): string {
  const value = optionalString(config, key);
  if (value === undefined) throw wrong(key, undefined, "a string");
  return value;
}

/** Undefined when the key is absent or null; a value of another type is an error all the same. */
export function optionalNumber(config: ModelConfig, key: string): number | undefined {
  const value = get(config, key);
  if (value !== undefined && (typeof value !== "number" || !Number.isFinite(value))) {
    throw wrong(key, value, "a number");
  }
  return value;
}

export function optionalCount(config: ModelConfig, key: string): number | undefined {
  const value = get(config, key);
  if (value !== undefined && (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1)) {
    throw wrong(key, value, "a positive integer");
  }
  return value;
}

export function optionalString(config: ModelConfig, key: string): string | undefined {
  const value = get(config, key);
  if (value !== undefined && typeof value !== "string") throw wrong(key, value, "a string");
  return value;
}

export function optionalBoolean(config: ModelConfig, key: string): boolean | undefined {
  const value = get(config, key);
  if (value !== undefined && typeof value !== "boolean") throw wrong(key, value, "true or false");
  return value;
}

export function optionalObject(config: ModelConfig, key: string): ModelConfig | undefined {
  const value = get(config, key);
  if (value !== undefined && !isJsonObject(value)) throw wrong(key, value, "an object");
  return value;
}
