import { isJsonObject, type JsonObject, type JsonValue } from "./json.js";

/**
 * Version of these rules: goes into the key of cached token ids. Raise it with every change that can alter ids.
 */
export const tokenizerRulesVersion = 1;

/** A pre-tokenizer that `@huggingface/tokenizers` would carry out differently from the Rust library. */
export class UnsupportedPreTokenizer extends Error {}

/**
 * `tokenizer.json` rewritten so that `@huggingface/tokenizers` 0.2 gives the ids of the Rust library, which trained the
 * model's vocabulary. That library simplifies some pre-tokenizers; they are expressed here by the ones it gets right
 * (golden ids in `testing/tokenizers/`):
 * - Digits splits at `\d` instead of every numeric character (½ and ² too)
 * - ByteLevel uses JavaScript's `\s` (which differs for U+0085 and U+FEFF)
 * - Metaspace ignores `split`; Punctuation and Whitespace know one behaviour, and ASCII words only
 * - Split drops what lies between matches when `invert` is set
 *
 * It also keeps long documents fast: see `splitWhereNothingMerges`.
 * @throws UnsupportedPreTokenizer where no exact equivalent exists
 */
export function tokenizerForJavaScript(tokenizer: JsonObject): JsonObject {
  const { pre_tokenizer: original, normalizer = null } = tokenizer;
  const rewritten = isJsonObject(original) ? rewrite(original, normalizer) : null;
  return { ...tokenizer, pre_tokenizer: splitWhereNothingMerges(tokenizer, original, rewritten) };
}

type PreTokenizer = JsonObject;

/** Keeps the pieces that match and drops what lies between: `text.match(pattern)`. */
function pieces(regex: string): PreTokenizer {
  return { type: "Split", pattern: { Regex: regex }, behavior: "Removed", invert: true };
}

/** Every match is a piece, and so is what lies between. */
function isolate(pattern: JsonValue): PreTokenizer {
  return { type: "Split", pattern, behavior: "Isolated", invert: false };
}

function sequence(...pretokenizers: readonly PreTokenizer[]): PreTokenizer {
  return { type: "Sequence", pretokenizers };
}

/** GPT-2's pattern, as the Rust library writes it. */
const gpt2Words = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** `\w` of Rust's regex crate, which has the two joiners where Oniguruma has superscripts. */
const wordCharacters = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}";

function rewrite(pre: PreTokenizer, normalizer: JsonValue): PreTokenizer {
  const { type } = pre;
  if (type === "Sequence" && Array.isArray(pre["pretokenizers"])) {
    return sequence(...pre["pretokenizers"].filter(isJsonObject).map((part) => rewrite(part, normalizer)));
  }
  if (type === "Digits") return isolate({ Regex: pre["individual_digits"] === true ? "\\p{N}" : "\\p{N}+" });
  if (type === "ByteLevel" && pre["use_regex"] !== false) {
    const bytes = { ...pre, add_prefix_space: false, use_regex: false };
    // One match of the whole text: V8 lets an empty match at `\A` also succeed inside surrogate pairs.
    const space = { type: "Replace", pattern: { Regex: "\\A ?([\\s\\S]*)" }, content: " $1" };
    const words = pieces(gpt2Words);
    return pre["add_prefix_space"] === true ? sequence(space, words, bytes) : sequence(words, bytes);
  }
  if (type === "Metaspace" && pre["split"] !== false) {
    if ((pre["replacement"] ?? "▁") !== "▁") throw new UnsupportedPreTokenizer("Metaspace with another mark than ▁");
    return sequence(pre, pieces("▁[^▁]*|[^▁]+"));
  }
  if (type === "Whitespace") return pieces(`[${wordCharacters}]+|[^${wordCharacters}\\s]+`);
  if (type === "Punctuation") return rewritePunctuation(pre);
  if (type === "Split") return rewriteSplit(pre, normalizer);
  return pre;
}

function rewritePunctuation(pre: PreTokenizer): PreTokenizer {
  const mark = "[\\p{P}\\x{21}-\\x{2F}\\x{3A}-\\x{40}\\x{5B}-\\x{60}\\x{7B}-\\x{7E}]";
  const behavior = pre["behavior"] ?? "Isolated";
  if (behavior === "Isolated") return isolate({ Regex: mark });
  if (behavior === "Contiguous") return isolate({ Regex: `${mark}+` });
  throw new UnsupportedPreTokenizer(`Punctuation with behavior ${String(behavior)}`);
}

function rewriteSplit(pre: PreTokenizer, normalizer: JsonValue): PreTokenizer {
  const { behavior, invert, pattern } = pre;
  if (!isJsonObject(pattern) || typeof (pattern["Regex"] ?? pattern["String"]) !== "string") {
    throw new TypeError("Split without a pattern");
  }
  if (behavior === "Removed") return pre;
  if (behavior === "Isolated") return isolate(pattern);
  // Gemma: splits at spaces that its normalizer has already replaced, so there are none.
  if (pattern["String"] === " " && invert !== true && replacesSpaces(normalizer)) {
    return isolate(pattern);
  }
  throw new UnsupportedPreTokenizer(`Split with behavior ${String(behavior)}`);
}

function replacesSpaces(normalizer: JsonValue): boolean {
  if (!isJsonObject(normalizer)) return false;
  const { type, pattern, normalizers, content } = normalizer;
  if (type === "Sequence" && Array.isArray(normalizers)) {
    return normalizers.some((part: JsonValue) => replacesSpaces(part));
  }
  return type === "Replace" && isJsonObject(pattern) && pattern["String"] === " " && content === "▁";
}

/**
 * SentencePiece-style tokenizers without word splitting (LLaMA 2, Mistral, Phi-3, Gemma) merge over the whole document as
 * one word, which takes some hundred bytes of memory per character and no use of the word cache. Cutting in front of
 * each run of `▁` gives the same ids when no merge rule joins a symbol that ends without `▁` and one that starts with it:
 * such a boundary can then never be merged over, and the merges on its two sides don't see each other.
 */
function splitWhereNothingMerges(
  tokenizer: JsonObject,
  original: JsonValue | undefined,
  rewritten: PreTokenizer | null,
): PreTokenizer | null {
  const wholeText =
    rewritten === null ||
    (rewritten["type"] === "Metaspace" && rewritten["split"] === false) ||
    (isJsonObject(original) && original["type"] === "Split" && original["behavior"] === "MergedWithPrevious");
  const { model } = tokenizer;
  if (!wholeText || !isJsonObject(model) || model["type"] !== "BPE" || model["ignore_merges"] === true)
    return rewritten;
  if (model["end_of_word_suffix"] || model["continuing_subword_prefix"] || !Array.isArray(model["merges"])) {
    return rewritten;
  }
  for (const merge of model["merges"] as readonly JsonValue[]) {
    const [left, right] = Array.isArray(merge) ? merge : String(merge).split(" ");
    if (typeof left !== "string" || typeof right !== "string") return rewritten;
    if (right.startsWith("▁") && !left.endsWith("▁")) return rewritten;
  }
  const words = pieces("▁+[^▁]*|[^▁]+");
  return rewritten === null ? words : sequence(rewritten, words);
}
