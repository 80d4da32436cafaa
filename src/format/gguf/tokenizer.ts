import { join } from "node:path";
import { isJsonObject, type JsonObject, type JsonValue } from "../../checkpoint/json.js";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import { byteLevelTokenizer } from "./byte-level-tokenizer.js";
import type { GgufValue } from "./layout.js";
import { isSentencePiece, sentencePieceTokenizer } from "./sentencepiece-tokenizer.js";
import { readJsonFile, readTokenizerFile, type TokenizerFile } from "./tokenizer-file.js";

/**
 * All `tokenizer.*` keys of a model folder: vocabulary, merges or scores, special tokens, chat template.
 * `size` is the number of rows of the embedding. Throws FormatErrors for what llama.cpp would tokenize differently.
 */
export function tokenizerMetadata(path: string, config: ModelConfig, size: number): Map<string, GgufValue> {
  const folder = ModelFolder.open(path);
  const where = join(path, "tokenizer.json");
  const file = readTokenizerFile(folder);
  const settings = readJsonFile(folder, "tokenizer_config.json") ?? {};
  const keys = isSentencePiece(file)
    ? sentencePieceTokenizer(file, size, where)
    : byteLevelTokenizer(file, size, where);
  const ids = specialIds(file, settings, config);
  for (const [key, id] of ids) keys.set(`tokenizer.ggml.${key}_token_id`, { type: "u32", value: id });
  const around = tokensAround(file, settings);
  keys.set("tokenizer.ggml.add_bos_token", { type: "bool", value: around.before });
  keys.set("tokenizer.ggml.add_eos_token", { type: "bool", value: around.after });
  for (const [key, template] of chatTemplates(folder, settings)) keys.set(key, template);
  return keys;
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

/** Whether the tokenizer itself puts tokens before and after a text: its template says so, else its settings. */
function tokensAround(file: TokenizerFile, settings: JsonObject): { before: boolean; after: boolean } {
  const template = findTemplate(file.postProcessor);
  if (template === null) {
    return { before: settings["add_bos_token"] === true, after: settings["add_eos_token"] === true };
  }
  const special = template.map((part) => isJsonObject(part) && "SpecialToken" in part);
  return { before: special[0] === true, after: special.length > 1 && special.at(-1) === true };
}

function findTemplate(processor: JsonValue): readonly JsonValue[] | null {
  if (!isJsonObject(processor)) return null;
  const { type, single, processors } = processor;
  if (type === "TemplateProcessing" && Array.isArray(single)) return single;
  if (type !== "Sequence" || !Array.isArray(processors)) return null;
  return processors.map(findTemplate).find((template) => template !== null) ?? null;
}

function chatTemplates(folder: ModelFolder, settings: JsonObject): [string, GgufValue][] {
  const template = folder.readText("chat_template.jinja", MAX_TEMPLATE_BYTES) ?? settings["chat_template"];
  if (typeof template === "string") return [["tokenizer.chat_template", { type: "string", value: template }]];
  if (!Array.isArray(template)) return [];
  const keys: [string, GgufValue][] = [];
  const names: string[] = [];
  for (const entry of template) {
    if (!isJsonObject(entry)) continue;
    const { name, template: value } = entry;
    if (typeof name !== "string" || typeof value !== "string") continue;
    if (name !== "default") names.push(name);
    keys.push([
      name === "default" ? "tokenizer.chat_template" : `tokenizer.chat_template.${name}`,
      { type: "string", value },
    ]);
  }
  if (names.length > 0) keys.push(["tokenizer.chat_templates", { type: "array", element: "string", values: names }]);
  return keys;
}
