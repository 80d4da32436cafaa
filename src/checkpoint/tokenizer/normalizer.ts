import * as library from "@huggingface/tokenizers";
import { isJsonObject, type JsonObject, type JsonValue } from "../json/json.js";
import { UnsupportedTokenizer } from "./unsupported-tokenizer.js";

/** Its own declarations don't resolve under TypeScript's NodeNext rules. */
const { ReplaceNormalizer } = library as unknown as {
  readonly ReplaceNormalizer: new (step: JsonObject) => { normalize(text: string): string };
};

/** Rewrites a text before it is cut into words. */
export type Normalizer = (text: string) => string;

/**
 * The `normalizer` of a `tokenizer.json`, as the Rust library carries it out; null where there is none. Of
 * `@huggingface/tokenizers` only its translation of patterns is used: its own steps lower the letter sigma by its place in
 * the word, strip other white space, and take `$` in a replacement for a reference.
 *
 * @throws UnsupportedTokenizer for a step that has no exact equivalent here
 */
export function normalizerOf(step: JsonValue | undefined): Normalizer | null {
  if (!isJsonObject(step)) return null;
  const { type } = step;
  switch (type) {
    case "Sequence": {
      const listed = Array.isArray(step["normalizers"]) ? (step["normalizers"] as readonly JsonValue[]) : [];
      const steps = listed.map(normalizerOf).filter((each) => each !== null);
      return (text) => steps.reduce((changed, each) => each(changed), text);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(type);
    case "Lowercase":
      return lower;
    case "Strip":
      return strip(step["strip_left"] !== false, step["strip_right"] !== false);
    case "StripAccents":
      return (text) => text.replace(/\p{M}/gu, "");
    case "Prepend":
      return (text) => (text === "" ? "" : `${String(step["prepend"] ?? "")}${text}`);
    case "Replace":
      return replace(step);
    case "BertNormalizer":
      return bert(step);
    default:
      throw new UnsupportedTokenizer(`the normalizer ${String(type)}`);
  }
}

/** Whether a normalizer can move the beginning of a text: by taking characters away, or by putting others in their place. */
export function movesFront(step: JsonValue | undefined): boolean {
  if (!isJsonObject(step)) return false;
  const { type, normalizers, pattern, content } = step;
  if (type === "Sequence") return Array.isArray(normalizers) && (normalizers as readonly JsonValue[]).some(movesFront);
  if (type === "Strip") return step["strip_left"] !== false;
  if (type !== "Replace") return type === "StripAccents" || type === "BertNormalizer";
  const text = isJsonObject(pattern) ? pattern["String"] : undefined;
  return typeof text !== "string" || text.length !== String(content ?? "").length;
}

/** Character by character: a final sigma is like any other. */
function lower(text: string): string {
  return text.includes("\u03a3")
    ? text
        .split("\u03a3")
        .map((part) => part.toLowerCase())
        .join("\u03c3")
    : text.toLowerCase();
}

function strip(left: boolean, right: boolean): Normalizer {
  return (text) => {
    const begun = left ? text.replace(/^\p{White_Space}+/u, "") : text;
    if (!right) return begun;
    let end = begun.length;
    while (end > 0 && /\p{White_Space}/u.test(begun.charAt(end - 1))) end--;
    return begun.slice(0, end);
  };
}

function replace(step: JsonObject): Normalizer {
  const { pattern, content } = step;
  if (!isJsonObject(pattern) || typeof (pattern["Regex"] ?? pattern["String"]) !== "string") {
    throw new TypeError("Replace without a pattern");
  }
  const text = String(content ?? "");
  const replacer = new ReplaceNormalizer({ ...step, content: text.replaceAll("$", "$$$$") });
  return (given) => replacer.normalize(given);
}

function bert(step: JsonObject): Normalizer {
  const lowers = step["lowercase"] !== false;
  const strips = step["strip_accents"] ?? lowers;
  const steps: Normalizer[] = [];
  if (step["clean_text"] !== false) {
    steps.push((text) =>
      text.replace(/[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu, "").replace(/\p{White_Space}/gu, " "),
    );
  }
  if (step["handle_chinese_chars"] !== false) steps.push((text) => text.replace(chinese, " $& "));
  if (strips === true) steps.push((text) => text.normalize("NFD").replace(/\p{Mn}/gu, ""));
  if (lowers) steps.push(lower);
  return (text) => steps.reduce((changed, each) => each(changed), text);
}

const chinese =
  /[\u{4E00}-\u{9FFF}\u{3400}-\u{4DBF}\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{F900}-\u{FAFF}\u{2F800}-\u{2FA1F}]/gu;
