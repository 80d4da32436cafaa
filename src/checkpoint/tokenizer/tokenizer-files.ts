import { createHash } from "node:crypto";
import { join } from "node:path";
import { CheckpointError } from "../../errors.js";
import { clip, isJsonObject, type JsonObject, type JsonValue, parseJsonObject, quote } from "../json/json.js";
import type { ModelFolder } from "../model-folder.js";

/** Bytes of the largest `tokenizer.json` that is read; those of 2025's largest vocabularies have 40 MB. */
const maxTokenizerLength = 256_000_000;
const maxConfigLength = 16_000_000;

/** More than any vocabulary in use; bounds the tables that are built from ids in the file. */
const maxTokenId = 2 ** 24;

const modelTypes: readonly string[] = ["BPE", "Unigram", "WordPiece"];

/** What the files of a model folder say of its tokenizer. */
export interface TokenizerFiles {
  readonly tokenizer: JsonObject;
  readonly config: JsonObject;
  /** generation_config.json and config.json, whichever exist, in this order. */
  readonly modelConfigs: readonly JsonObject[];
  readonly hash: string;
  readonly templates: ReadonlyMap<string, string>;
  /** Of the vocabulary, without added tokens. */
  readonly largestId: number;
  /** Path of tokenizer.json, for messages. */
  readonly where: string;
}

/**
 * Reads them, as far as they are there.
 *
 * @throws CheckpointError when `tokenizer.json` is missing or malformed, or has ids that can't be
 */
export function readTokenizerFiles(folder: ModelFolder): TokenizerFiles {
  const text = folder.readText("tokenizer.json", maxTokenizerLength);
  if (text === null) {
    const other = ["tokenizer.model", "vocab.json", "vocab.txt"].find((name) => folder.has(name));
    throw new CheckpointError({
      what: "no tokenizer.json in this folder",
      where: folder.path,
      ...(other !== undefined && { why: `there is only ${other}` }),
      next: "download it, or make it in Python: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
    });
  }
  const optional = (name: string): JsonObject | null => {
    const content = folder.readText(name, maxConfigLength);
    return content === null ? null : parseJsonObject(content, join(folder.path, name));
  };
  const where = join(folder.path, "tokenizer.json");
  const tokenizer = parseJsonObject(text, where);
  const config = optional("tokenizer_config.json") ?? {};
  return {
    tokenizer: {
      pre_tokenizer: null,
      normalizer: null,
      decoder: null,
      post_processor: null,
      added_tokens: [],
      ...tokenizer,
    },
    config,
    modelConfigs: [optional("generation_config.json"), optional("config.json")].filter((file) => file !== null),
    hash: createHash("sha256").update(text).digest("hex"),
    templates: chatTemplates(folder.readText("chat_template.jinja", maxConfigLength), config["chat_template"]),
    largestId: checkIds(tokenizer, where),
    where,
  };
}

/** The templates by name; a single one is the default. */
function chatTemplates(file: string | null, value: JsonValue | undefined): ReadonlyMap<string, string> {
  if (file !== null) return new Map([["default", file]]);
  if (typeof value === "string") return new Map([["default", value]]);
  const named = Array.isArray(value) ? value.filter(isJsonObject) : [];
  return new Map(
    named.flatMap(({ name, template }) =>
      typeof name === "string" && typeof template === "string" ? [[name, template] as const] : [],
    ),
  );
}

/** Checks all ids before tables are built from them, and returns the vocabulary's largest. */
function checkIds({ model, added_tokens: added }: JsonObject, where: string): number {
  const fail = (what: string): never => {
    throw new CheckpointError({ what, where, next: "restore tokenizer.json from the model's source" });
  };
  if (!isJsonObject(model)) return fail("model is missing or not an object");
  const { vocab, type } = model;
  // Files of before 2020 don't name the model; then it is BPE, for which there are merges.
  const known = type === undefined ? Array.isArray(model["merges"]) : modelTypes.includes(String(type));
  if (!known) return fail(`unknown model type ${clip(JSON.stringify(type) ?? "none")}; known: ${modelTypes.join(" ")}`);
  let largest = -1;
  const check = (token: string, id: JsonValue | undefined): number =>
    typeof id === "number" && Number.isInteger(id) && id >= 0 && id < maxTokenId
      ? id
      : fail(`token ${quote(token)} has the id ${clip(JSON.stringify(id) ?? "none").slice(0, 40)}`);
  if (isJsonObject(vocab))
    for (const [token, id] of Object.entries(vocab)) largest = Math.max(largest, check(token, id));
  else if (Array.isArray(vocab)) largest = vocab.length - 1;
  else fail("model.vocab is missing");
  if (added !== undefined && !Array.isArray(added)) fail("added_tokens is not a list");
  for (const token of (added as readonly JsonValue[] | undefined) ?? []) {
    if (!isJsonObject(token) || typeof token["content"] !== "string") fail("an added token without content");
    else check(token["content"], token["id"]);
  }
  return largest;
}
