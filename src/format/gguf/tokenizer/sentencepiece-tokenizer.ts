import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json/json.js";
import { FormatError } from "../../../errors.js";
import type { GgufValue } from "../file/layout.js";
import type { TokenizerFile } from "./tokenizer-file.js";
import { TOKEN_TYPES, vocabularyKeys, vocabularyOf } from "./vocabulary.js";

/** The sign that SentencePiece writes for a space: U+2581. */
const SPACE = "\u2581";

/**
 * The keys of a SentencePiece-style BPE vocabulary (Llama 2, Mistral): llama.cpp's model `llama`.
 * It merges the pair whose product has the highest score, so a token's score is minus the rank of its first merge.
 */
export function sentencePieceTokenizer(file: TokenizerFile, size: number, where: string): Map<string, GgufValue> {
  const prefix = spacePrefix(file, where);
  if (file.ignoreMerges) {
    throw new FormatError({
      what: "llama.cpp's SentencePiece tokenizer always merges, and this one takes whole words first (ignore_merges)",
      where,
      next: "use --format onnx or compressed-tensors, which carry tokenizer.json as it is",
    });
  }
  const vocabulary = vocabularyOf(file, size, where);
  const ranks = new Map<string, number>();
  file.merges.forEach(([left, right], rank) => {
    if (!ranks.has(left + right)) ranks.set(left + right, rank);
  });
  const unknown = file.unknownToken === null ? undefined : file.vocabulary[file.unknownToken];
  if (unknown !== undefined) vocabulary.types[unknown] = TOKEN_TYPES.unknown;
  const scores = vocabulary.tokens.map((token, id) => {
    if (vocabulary.types[id] !== TOKEN_TYPES.normal) return 0;
    if (isByteToken(token)) {
      vocabulary.types[id] = TOKEN_TYPES.byte;
      return 0;
    }
    // A token that no merge makes is a single character, or must lose against every other.
    return -(ranks.get(token) ?? file.merges.length + id);
  });
  assertAllBytes(vocabulary.types, where);
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", { type: "string", value: "llama" }],
    ["tokenizer.ggml.pre", { type: "string", value: "default" }],
    ...vocabularyKeys(vocabulary),
    ["tokenizer.ggml.scores", { type: "array", element: "f32", values: scores }],
    ["tokenizer.ggml.add_space_prefix", { type: "bool", value: prefix }],
  ]);
}

/** True when the tokenizer works on text whose spaces became U+2581, with bytes as the last resort. */
export function isSentencePiece(file: TokenizerFile): boolean {
  return file.byteFallback;
}

function isByteToken(token: string): boolean {
  return /^<0x[0-9A-F]{2}>$/.test(token);
}

function assertAllBytes(types: readonly number[], where: string): void {
  const bytes = types.filter((type) => type === TOKEN_TYPES.byte).length;
  if (bytes === 256) return;
  throw new FormatError({
    what: `a SentencePiece vocabulary needs the 256 byte tokens <0x00> to <0xFF>, this one has ${bytes}`,
    where,
    next: "use --format onnx or compressed-tensors, which carry tokenizer.json as it is",
  });
}

/** Whether a space is put before the text; throws when the steps are not those of SentencePiece. */
function spacePrefix(file: TokenizerFile, where: string): boolean {
  const steps = [...flatten(file.normalizer, "normalizers"), ...flatten(file.preTokenizer, "pretokenizers")];
  let prefix = false;
  let replaced = false;
  for (const step of steps) {
    const { type } = step;
    if (type === "Prepend" && step["prepend"] === SPACE) prefix = true;
    else if (type === "Replace" && isSpaceReplacement(step)) replaced = true;
    else if (type === "Metaspace" && step["replacement"] === SPACE) {
      replaced = true;
      // The library's default is "always".
      if (step["prepend_scheme"] !== "never" && step["add_prefix_space"] !== false) prefix = true;
      // Gemma's: behind the replacement no space is left to split at.
    } else if (!(replaced && type === "Split" && isSpaceSplit(step))) throw notSentencePiece(step, where);
  }
  if (!replaced) throw notSentencePiece(null, where);
  return prefix;
}

function isSpaceReplacement(step: JsonObject): boolean {
  const { pattern, content } = step;
  return isJsonObject(pattern) && pattern["String"] === " " && content === SPACE;
}

function isSpaceSplit({ pattern }: JsonObject): boolean {
  return isJsonObject(pattern) && pattern["String"] === " ";
}

function flatten(step: JsonValue, list: "normalizers" | "pretokenizers"): JsonObject[] {
  if (!isJsonObject(step)) return [];
  const inner = step[list];
  return step["type"] === "Sequence" && Array.isArray(inner) ? inner.flatMap((one) => flatten(one, list)) : [step];
}

function notSentencePiece(step: JsonValue, where: string): FormatError {
  return new FormatError({
    what:
      step === null
        ? "a BPE vocabulary with byte fallback that does not turn spaces into U+2581"
        : `llama.cpp's SentencePiece tokenizer has no such step: ${JSON.stringify(step)}`,
    where,
    next: "use --format onnx or compressed-tensors, which carry tokenizer.json as it is",
  });
}
