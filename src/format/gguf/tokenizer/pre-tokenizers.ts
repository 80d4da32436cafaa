import { isJsonObject, type JsonValue } from "../../../checkpoint/json/json.js";
import { FormatError } from "../../../errors.js";
import type { TokenizerFile } from "./tokenizer-file.js";

/** How a byte-level BPE tokenizer cuts text before merging, and what llama.cpp calls that. */
interface PreTokenizer {
  /** `tokenizer.ggml.pre`. */
  readonly pre: string;
  /** The steps of `pre_tokenizer` in the notation of `stepsOf`. */
  readonly steps: readonly string[];
  /** llama.cpp fixes this by name: a piece that is a token as a whole is not merged from its parts. */
  readonly ignoreMerges: boolean;
}

const LLAMA_3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const QWEN_2 = LLAMA_3.replace("\\p{N}{1,3}", "\\p{N}");
const TEKKEN =
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|" +
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|" +
  "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
const O200K =
  `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${CONTRACTIONS}|` +
  `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${CONTRACTIONS}|` +
  "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/**
 * The pre-tokenizers of the supported families. Upstream's converter chooses by a hash of the token ids of a
 * test text, which knows only published vocabularies; the pattern itself also covers vocabularies of one's own.
 */
export const PRE_TOKENIZERS: readonly PreTokenizer[] = [
  { pre: "gpt-2", steps: ["gpt2"], ignoreMerges: false },
  { pre: "smollm", steps: ["digit", "gpt2"], ignoreMerges: false },
  { pre: "llama-bpe", steps: [`split ${LLAMA_3}`, "bytes"], ignoreMerges: true },
  { pre: "smaug-bpe", steps: [`split ${LLAMA_3}`, "bytes"], ignoreMerges: false },
  { pre: "qwen2", steps: [`split ${QWEN_2}`, "bytes"], ignoreMerges: false },
  { pre: "tekken", steps: [`split ${TEKKEN}`, "bytes"], ignoreMerges: true },
  { pre: "gpt-4o", steps: [`split ${O200K}`, "bytes"], ignoreMerges: false },
];

/** The name of llama.cpp's pre-tokenizer that cuts like this tokenizer, or a FormatError. */
export function preTokenizerName(file: TokenizerFile, where: string): string {
  const steps = stepsOf(file.preTokenizer);
  const same = PRE_TOKENIZERS.filter((known) => known.steps.join("\n") === steps.join("\n"));
  const match = same.find((known) => known.ignoreMerges === file.ignoreMerges);
  if (match !== undefined) return match.pre;
  throw new FormatError({
    what:
      same.length > 0
        ? `llama.cpp has this pre-tokenizer only with ignore_merges ${String(!file.ignoreMerges)}`
        : `llama.cpp has no pre-tokenizer for these steps: ${steps.join(" then ") || "none"}`,
    where,
    why: "another one would load and run, but cut text differently",
    next: "use --format onnx or compressed-tensors, which carry tokenizer.json as it is",
  });
}

/**
 * The `pre_tokenizer` as a list: `split REGEX`, `digit` (each digit alone), `gpt2` (GPT-2's pattern, then bytes),
 * `bytes` (bytes only). Anything else appears as its JSON, which matches no table entry.
 */
export function stepsOf(preTokenizer: JsonValue): readonly string[] {
  if (!isJsonObject(preTokenizer)) return [];
  const { type, pretokenizers, pattern, behavior } = preTokenizer;
  if (type === "Sequence" && Array.isArray(pretokenizers)) return pretokenizers.flatMap(stepsOf);
  if (type === "Digits" && preTokenizer["individual_digits"] === true) return ["digit"];
  if (type === "ByteLevel" && preTokenizer["add_prefix_space"] !== true) {
    return [preTokenizer["use_regex"] === false ? "bytes" : "gpt2"];
  }
  if (type === "Split" && isJsonObject(pattern) && typeof pattern["Regex"] === "string") {
    // Keeping what matches and removing what does not is the same cut when the pattern matches everything.
    const matchesOnly = behavior === "Removed" && preTokenizer["invert"] === true;
    if (behavior === "Isolated" || matchesOnly) return [`split ${pattern["Regex"]}`];
  }
  return [JSON.stringify(preTokenizer)];
}
