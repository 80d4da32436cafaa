import { isJsonObject, type JsonValue } from "../../../checkpoint/json/json.js";
import type { AddedToken } from "../../../checkpoint/tokenizer/added-tokens.js";
import { normalizerOf } from "../../../checkpoint/tokenizer/normalizer.js";
import type { TokenizerFile } from "./tokenizer-file.js";

/** Most tokens that a note names. */
const named = 3;

/**
 * Rules of a tokenizer that a GGUF file can't express, so that llama.cpp cuts some texts into other tokens: whole sentences, with
 * an example where one helps.
 *
 * @param left tokens that the file leaves out, since the embedding has no row for them
 */
export function tokenizerNotes(file: TokenizerFile, left: readonly AddedToken[]): string[] {
  const added = file.addedTokens;
  const normalize = normalizerOf(file.normalizer);
  return [
    ...addedNote(
      left,
      "is left out: the embedding has no row for it",
      "are left out: the embedding has no rows for them",
    ),
    ...addedNote(
      added.filter(({ singleWord }) => singleWord),
      "is a whole word in the tokenizer; llama.cpp finds it inside words as well",
      "are whole words in the tokenizer; llama.cpp finds them inside words as well",
    ),
    ...addedNote(
      added.filter(({ lstrip, rstrip }) => lstrip || rstrip),
      "takes the white space beside it along; llama.cpp keeps that white space as tokens",
      "take the white space beside them along; llama.cpp keeps that white space as tokens",
    ),
    ...addedNote(
      added.filter(({ normalized, content }) => normalized && normalize !== null && normalize(content) !== content),
      "is looked for in the normalized text; llama.cpp finds it everywhere",
      "are looked for in the normalized text; llama.cpp finds them everywhere",
    ),
    ...(composes(file.normalizer)
      ? ["The tokenizer composes characters (NFC) and llama.cpp does not: decomposed text is cut into other tokens."]
      : []),
  ];
}

/** Notes on vocabularies of bytes in GPT-2's alphabet. */
export function byteLevelNotes({ vocabulary }: TokenizerFile): string[] {
  const missing = byteAlphabet().filter((character) => !Object.hasOwn(vocabulary, character)).length;
  if (missing === 0) return [];
  return [
    `The vocabulary lacks ${missing} of the 256 bytes: llama.cpp leaves out a byte that no token holds, where the tokenizer may put an ` +
      "unknown token, or merge what stands on its two sides.",
  ];
}

/** The characters that stand for bytes: printable ones for themselves, the others from U+0100 on. */
function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** Notes on vocabularies whose spaces are marked. */
export function sentencePieceNotes(file: TokenizerFile): string[] {
  const notes: string[] = [];
  const scheme = prependScheme(file);
  const token = file.addedTokens.find(({ content }) => content !== file.unknownToken)?.content ?? "<s>";
  if (scheme === "first") {
    notes.push(
      `The tokenizer puts a space before a text only at its beginning, and only where none is (Metaspace, "first"); llama.cpp puts one ` +
        `behind every special token as well: it reads "a${token}b" as "a${token} b", and doubles the space of " a".`,
    );
  } else if (scheme === "always") {
    notes.push(
      'The tokenizer puts a space before a text only where none is (Metaspace, "always"); llama.cpp always does: it doubles ' +
        `the space of " a" and of "${token} a".`,
    );
  }
  const inside = Object.keys(file.vocabulary).find((entry) => entry.lastIndexOf("\u2581") > 0);
  if (inside !== undefined && splitsWords(file.preTokenizer)) {
    notes.push(
      `The tokenizer never merges across spaces (Metaspace, "split"); llama.cpp does where a token has one inside: "${inside}".`,
    );
  }
  const apart = tokensMergedOtherwise(file);
  if (apart.length > 0) {
    const shown = apart.slice(0, named).map((entry) => JSON.stringify(entry));
    notes.push(
      `llama.cpp merges any two tokens that together are one; the tokenizer has merges of its own, which leave out or put off some ` +
        `of ${shown.join(", ")}${apart.length > named ? ` and ${apart.length - named} more` : ""}: texts that hold them may be cut into other tokens.`,
    );
  }
  return notes;
}

function addedNote(tokens: readonly AddedToken[], one: string, many: string): string[] {
  if (tokens.length === 0) return [];
  const shown = tokens.slice(0, named).map(({ content }) => JSON.stringify(content));
  const more = tokens.length > named ? ` and ${tokens.length - named} more` : "";
  return [
    `The added token${tokens.length === 1 ? "" : "s"} ${shown.join(", ")}${more} ${tokens.length === 1 ? one : many}.`,
  ];
}

function composes(normalizer: JsonValue): boolean {
  return isJsonObject(normalizer) && normalizer["type"] === "NFC";
}

function metaspaces(step: JsonValue): { readonly scheme: string; readonly split: boolean }[] {
  if (!isJsonObject(step)) return [];
  const { type, pretokenizers, prepend_scheme: scheme, add_prefix_space: prefix, split } = step;
  if (Array.isArray(pretokenizers)) return (pretokenizers as readonly JsonValue[]).flatMap(metaspaces);
  if (type !== "Metaspace") return [];
  return [
    { scheme: prefix === false ? "never" : typeof scheme === "string" ? scheme : "always", split: split !== false },
  ];
}

function prependScheme({ preTokenizer, normalizer }: TokenizerFile): string {
  // Behind a normalizer that has put the space already, nothing is left to do.
  if (JSON.stringify(normalizer).includes('"Prepend"')) return "never";
  return metaspaces(preTokenizer)[0]?.scheme ?? "never";
}

function splitsWords(preTokenizer: JsonValue): boolean {
  return metaspaces(preTokenizer).some(({ split }) => split);
}

/**
 * Tokens whose ways to be merged are not those of a list by pieces: llama.cpp merges two tokens when both together are one,
 * the piece with the best rank first, while the tokenizer has a rank for each pair.
 */
function tokensMergedOtherwise({ vocabulary, merges, addedTokens }: TokenizerFile): string[] {
  const ranks = new Map<string, number[]>();
  const pairs = new Set<string>();
  merges.forEach(([left, right], rank) => {
    const product = left + right;
    const known = ranks.get(product);
    if (known === undefined) ranks.set(product, [rank]);
    else known.push(rank);
    pairs.add(`${left}\n${right}`);
  });
  const added = new Set(addedTokens.map(({ content }) => content));
  return Object.keys(vocabulary).filter((token) => {
    if (added.has(token) || /^<0x[0-9A-F]{2}>$/.test(token)) return false;
    const own = ranks.get(token) ?? [];
    // Pairs of one product with no other product between them are as good as one.
    if (own.length > 1 && (own.at(-1) ?? 0) - (own[0] ?? 0) !== own.length - 1) return true;
    for (let cut = 1; cut < token.length; cut++) {
      const [left, right] = [token.slice(0, cut), token.slice(cut)];
      const possible = Object.hasOwn(vocabulary, left) && Object.hasOwn(vocabulary, right);
      if (possible && !pairs.has(`${left}\n${right}`)) return true;
    }
    return false;
  });
}
