import { join } from "node:path";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json/json.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { ModelFolder } from "../../../checkpoint/model-folder.js";
import { tokensWithoutRow } from "../../../checkpoint/tokenizer/tokens-without-row.js";
import type { GgufValue } from "../file/layout.js";
import { byteLevelTokenizer } from "./byte-level-tokenizer.js";
import { isSentencePiece, sentencePieceTokenizer } from "./sentencepiece-tokenizer.js";
import { readJsonFile, readTokenizerFile, type TokenizerFile } from "./tokenizer-file.js";
import { byteLevelNotes, sentencePieceNotes, tokenizerNotes } from "./tokenizer-notes.js";
import { tokensAround } from "./tokens-around.js";

/** What a GGUF file says of its tokenizer. */
export interface GgufTokenizer {
  /** All `tokenizer.*` keys: vocabulary, merges or scores, special tokens, chat template. */
  readonly keys: ReadonlyMap<string, GgufValue>;
  /** Texts that llama.cpp will cut differently all the same: whole sentences. */
  readonly notes: readonly string[];
}

/**
 * The tokenizer of a model folder for llama.cpp. `size` is the number of rows of the embedding.
 *
 * @throws FormatError for a tokenizer that llama.cpp has no counterpart for
 */
export function ggufTokenizer(path: string, config: ModelConfig, size: number): GgufTokenizer {
  const folder = ModelFolder.open(path);
  const where = join(path, "tokenizer.json");
  const file = readTokenizerFile(folder);
  const settings = readJsonFile(folder, "tokenizer_config.json") ?? {};
  const marked = isSentencePiece(file);
  const keys = marked ? sentencePieceTokenizer(file, size, where) : byteLevelTokenizer(file, size, where);
  const ids = specialIds(file, settings, config);
  for (const [key, id] of ids) if (id < size) keys.set(`tokenizer.ggml.${key}_token_id`, { type: "u32", value: id });
  const left = tokensWithoutRow(
    // Ids of the vocabulary itself are below the size: it was laid out.
    { added: file.addedTokens, largest: 0, startToken: ids.get("bos") ?? null },
    size,
    where,
  );
  const around = tokensAround(file, settings, ids);
  keys.set("tokenizer.ggml.add_bos_token", { type: "bool", value: around.before });
  keys.set("tokenizer.ggml.add_eos_token", { type: "bool", value: around.after });
  for (const [key, template] of chatTemplates(folder, settings)) keys.set(key, template);
  const notes = [
    ...tokenizerNotes(file, left),
    ...(marked ? sentencePieceNotes(file) : byteLevelNotes(file)),
    ...around.notes,
  ];
  return { keys, notes };
}

/** Bytes of the largest chat template that is read. */
const MAX_TEMPLATE_BYTES = 2 ** 20;

/** Key in the file, name in `tokenizer_config.json`, name in `config.json`. */
const SPECIAL = [
  ["bos", "bos_token", "bos_token_id"],
  ["eos", "eos_token", "eos_token_id"],
  ["unknown", "unk_token", "unk_token_id"],
  ["padding", "pad_token", "pad_token_id"],
] as const;

function specialIds(file: TokenizerFile, settings: JsonObject, config: ModelConfig): Map<string, number> {
  const byText = new Map(file.addedTokens.map(({ content, id }) => [content, id]));
  const ids = new Map<string, number>();
  for (const [key, setting, configKey] of SPECIAL) {
    const entry = settings[setting];
    const token = isJsonObject(entry) ? entry["content"] : entry;
    const text = key === "unknown" && token === undefined ? file.unknownToken : token;
    const known = typeof text === "string" ? (byText.get(text) ?? file.vocabulary[text]) : undefined;
    const configured = config[configKey];
    const first = Array.isArray(configured) ? configured[0] : configured;
    const id = known ?? (typeof first === "number" ? first : undefined);
    if (id !== undefined) ids.set(key, id);
  }
  return ids;
}

function chatTemplates(folder: ModelFolder, settings: JsonObject): [string, GgufValue][] {
  const file = folder.readText("chat_template.jinja", MAX_TEMPLATE_BYTES);
  const listed = settings["chat_template"];
  const own = file ?? (typeof listed === "string" ? listed : null);
  const keys: [string, GgufValue][] = own === null ? [] : [["tokenizer.chat_template", { type: "string", value: own }]];
  const names: string[] = [];
  for (const entry of Array.isArray(listed) ? (listed as readonly JsonValue[]) : []) {
    if (!isJsonObject(entry)) continue;
    const { name, template: value } = entry;
    if (typeof name !== "string" || typeof value !== "string") continue;
    // The file of its own stands for the default; others may be listed beside it.
    if (name === "default" && own !== null) continue;
    if (name !== "default") names.push(name);
    keys.push([
      name === "default" ? "tokenizer.chat_template" : `tokenizer.chat_template.${name}`,
      { type: "string", value },
    ]);
  }
  if (names.length > 0) keys.push(["tokenizer.chat_templates", { type: "array", element: "string", values: names }]);
  return keys;
}
