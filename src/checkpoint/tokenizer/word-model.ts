import { isJsonObject, type JsonObject } from "../json/json.js";

/** What is used of a vocabulary of `@huggingface/tokenizers`; its BPE and Unigram have methods of their own. */
export interface LibraryModel {
  readonly vocab: string[];
  readonly tokens_to_ids: Map<string, number>;
  readonly unk_token_id?: number | undefined;
  /** Tokens of words. */
  encode(words: readonly string[]): readonly string[];
  bpe?: (word: string) => readonly string[];
  tokenize?: (word: string) => readonly string[];
  readonly cache?: WordCache;
}

/** The cache of the library's BPE model. */
interface WordCache {
  get: (word: string) => readonly string[] | undefined;
  put: (word: string, tokens: readonly string[]) => void;
  clear: () => void;
}

/** Words whose tokens are kept: beyond this all are forgotten. */
const wordLimit = 200_000;

/** Longer words seldom come again. */
const longestKept = 256;

/**
 * Ids of the words that the pre-tokenizer made, as the Rust library gives them. The library for JavaScript merges and finds the best
 * path; characters that no token holds it treats differently, which is mended here:
 * - without an unknown token and without bytes such characters vanish before merging, so that their neighbours meet
 * - unknown characters that follow each other become one token within a word, never across words
 * - Unigram falls back to bytes where its model says so
 *
 * Besides, a plain map of words replaces the library's cache, which took a third of the time.
 */
export function wordEncoder(library: LibraryModel, model: JsonObject): (words: readonly string[]) => number[] {
  const { tokens_to_ids: ids, unk_token_id: unknown } = library;
  const fallback = model["byte_fallback"] === true ? byteIds(ids) : null;
  const fuses = library.tokenize !== undefined || model["fuse_unk"] === true;
  const cut = cutterOf(library, model, fallback);
  const encode = (word: string): readonly number[] => {
    const found: number[] = [];
    let afterUnknown = false;
    for (const token of cut(word)) {
      const id = ids.get(token);
      const bytes = id === undefined ? fallback?.(token) : undefined;
      if (id !== undefined) found.push(id);
      else if (bytes !== undefined) found.push(...bytes);
      else if (unknown !== undefined && !(fuses && afterUnknown)) found.push(unknown);
      afterUnknown = id === undefined && bytes === undefined;
    }
    return found;
  };
  const kept = new Map<string, readonly number[]>();
  return (words) => {
    const all: number[] = [];
    for (const word of words) {
      let found = kept.get(word);
      if (found === undefined) {
        found = encode(word);
        if (kept.size === wordLimit) kept.clear();
        if (word.length < longestKept) kept.set(word, found);
      }
      for (const id of found) all.push(id);
    }
    return all;
  };
}

/** Cuts one word into tokens and into characters that no token holds. */
function cutterOf(
  library: LibraryModel,
  model: JsonObject,
  fallback: ((text: string) => readonly number[] | undefined) | null,
): (word: string) => readonly string[] {
  const { bpe, tokenize, cache } = library;
  if (tokenize !== undefined) return (word) => tokenize.call(library, word);
  if (bpe === undefined) return (word) => library.encode([word]);
  if (cache !== undefined) {
    cache.get = () => undefined;
    cache.put = () => {};
  }
  const { tokens_to_ids: ids } = library;
  const vanishing = library.unk_token_id === undefined && !model["end_of_word_suffix"];
  const stays = (character: string): boolean => ids.has(character) || fallback?.(character) !== undefined;
  const known = (word: string): string => (vanishing ? Array.from(word).filter(stays).join("") : word);
  if (model["ignore_merges"] !== true) return (word) => bpe.call(library, known(word));
  return (word) => (ids.has(word) ? [word] : bpe.call(library, known(word)));
}

/** Ids of the bytes of a character; undefined where a byte has no token. */
function byteIds(ids: ReadonlyMap<string, number>): (text: string) => number[] | undefined {
  const encoder = new TextEncoder();
  return (text) => {
    const found: number[] = [];
    for (const byte of encoder.encode(text)) {
      const id = ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
      if (id === undefined) return undefined;
      found.push(id);
    }
    return found;
  };
}

/** Takes added tokens out of a vocabulary again into which the library has put them: words are cut without them. */
export function withoutAddedTokens(library: LibraryModel, model: JsonObject, added: Iterable<string>): void {
  const { vocab } = model;
  const listed = Array.isArray(vocab)
    ? new Map(vocab.map((entry, id) => [Array.isArray(entry) ? entry[0] : null, id] as const))
    : null;
  for (const content of added) {
    const own = isJsonObject(vocab) && Object.hasOwn(vocab, content) ? vocab[content] : listed?.get(content);
    if (typeof own === "number") library.tokens_to_ids.set(content, own);
    else library.tokens_to_ids.delete(content);
  }
}
