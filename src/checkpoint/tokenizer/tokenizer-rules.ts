import { isJsonObject, type JsonObject, type JsonValue } from "../json/json.js";
import { movesFront } from "./normalizer.js";
import { UnsupportedTokenizer } from "./unsupported-tokenizer.js";

/**
 * Version of these rules: goes into the key of cached token ids. Raise it with every change that can alter ids.
 */
export const tokenizerRulesVersion = 2;

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
 * @throws UnsupportedTokenizer where no exact equivalent exists
 */
export function tokenizerForJavaScript(tokenizer: JsonObject): JsonObject {
  const { pre_tokenizer: original, normalizer = null, model } = tokenizer;
  if (isJsonObject(model) && model["continuing_subword_prefix"] && Array.isArray(model["merges"])) {
    throw new UnsupportedTokenizer("BPE with a prefix for the inside of words");
  }
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
    const parts = pre["pretokenizers"].filter(isJsonObject);
    if (parts.slice(1).some((part) => part["type"] === "Metaspace" && prependScheme(part) === "first")) {
      throw new UnsupportedTokenizer('Metaspace with prepend_scheme "first" behind another step');
    }
    return sequence(...parts.map((part) => rewrite(part, normalizer)));
  }
  if (type === "Digits") return isolate({ Regex: pre["individual_digits"] === true ? "\\p{N}" : "\\p{N}+" });
  if (type === "ByteLevel" && pre["use_regex"] !== false) {
    const bytes = { ...pre, add_prefix_space: false, use_regex: false };
    // One match of the whole text: V8 lets an empty match at `\A` also succeed inside surrogate pairs.
    const space = { type: "Replace", pattern: { Regex: "\\A ?([\\s\\S]*)" }, content: " $1" };
    const words = pieces(gpt2Words);
    return pre["add_prefix_space"] === true ? sequence(space, words, bytes) : sequence(words, bytes);
  }
  if (type === "Metaspace") return rewriteMetaspace(pre, normalizer);
  if (type === "Whitespace") return pieces(`[${wordCharacters}]+|[^${wordCharacters}\\s]+`);
  if (type === "WhitespaceSplit") return pieces("\\S+");
  if (type === "BertPreTokenizer") return pieces(`${punctuation}|(?:(?!${punctuation})\\S)+`);
  if (type === "Punctuation") return rewritePunctuation(pre);
  if (type === "FixedLength") return pieces(`[\\s\\S]{1,${Number(pre["length"] ?? 5)}}`);
  if (type === "CharDelimiterSplit") {
    return removed({ String: String(pre["delimiter"]) });
  }
  if (type === "Split") return rewriteSplit(pre, normalizer);
  return pre;
}

function prependScheme(metaspace: JsonObject): string {
  const { prepend_scheme: scheme, add_prefix_space: prefix } = metaspace;
  return prefix === false ? "never" : typeof scheme === "string" ? scheme : "always";
}

function rewriteMetaspace(pre: PreTokenizer, normalizer: JsonValue): PreTokenizer {
  const scheme = prependScheme(pre);
  if (scheme === "first" && movesFront(normalizer)) {
    throw new UnsupportedTokenizer(
      'Metaspace with prepend_scheme "first" behind a normalizer that moves the beginning',
    );
  }
  const { replacement = "▁", split } = pre;
  const marked = { type: "Metaspace", replacement, prepend_scheme: scheme };
  if (split === false) return { ...marked, split };
  if (replacement !== "▁") throw new UnsupportedTokenizer("Metaspace with another mark than ▁");
  return sequence(marked, pieces("▁[^▁]*|[^▁]+"));
}

const punctuation = "[\\p{P}\\x{21}-\\x{2F}\\x{3A}-\\x{40}\\x{5B}-\\x{60}\\x{7B}-\\x{7E}]";

function rewritePunctuation(pre: PreTokenizer): PreTokenizer {
  const behavior = pre["behavior"] ?? "Isolated";
  if (behavior === "Isolated") return isolate({ Regex: punctuation });
  if (behavior === "Contiguous") return isolate({ Regex: `${punctuation}+` });
  throw new UnsupportedTokenizer(`Punctuation with behavior ${String(behavior)}`);
}

function rewriteSplit(pre: PreTokenizer, normalizer: JsonValue): PreTokenizer {
  const { behavior, invert, pattern } = pre;
  if (!isJsonObject(pattern) || typeof (pattern["Regex"] ?? pattern["String"]) !== "string") {
    throw new TypeError("Split without a pattern");
  }
  if (behavior === "Removed") return invert === true ? pre : removed(pattern);
  if (behavior === "Isolated") return isolate(pattern);
  // Gemma: splits at spaces that its normalizer has already replaced, so there are none.
  if (pattern["String"] === " " && invert !== true && replacesSpaces(normalizer)) {
    return isolate(pattern);
  }
  throw new UnsupportedTokenizer(`Split with behavior ${String(behavior)}`);
}

/** Drops every match. The library splits by JavaScript's rules, which keep what a group has captured. */
function removed(pattern: JsonObject): PreTokenizer {
  const { String: text, Regex: given } = pattern;
  const regex = typeof text === "string" ? text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") : String(given);
  if (typeof text !== "string" && /\((?!\?)/.test(regex.replace(/\\[\s\S]/g, ""))) {
    throw new UnsupportedTokenizer("Split with behavior Removed and a group in its pattern");
  }
  return { type: "Split", pattern: { Regex: regex }, behavior: "Removed", invert: false };
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
  // Where characters without a token vanish, those on its two sides may be merged; where the mark has none, they meet across it.
  const { vocab } = model;
  if (!isJsonObject(vocab) || !Object.hasOwn(vocab, "▁")) return rewritten;
  if (!model["unk_token"] && (model["byte_fallback"] !== true || !hasAllBytes(vocab))) return rewritten;
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

function hasAllBytes(vocab: JsonObject): boolean {
  return Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`).every(
    (token) => Object.hasOwn(vocab, token),
  );
}
