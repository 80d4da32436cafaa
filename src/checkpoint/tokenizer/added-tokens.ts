import { clip, isJsonObject, type JsonObject, type JsonValue, quote } from "../json/json.js";
import type { Normalizer } from "./normalizer.js";
import { UnsupportedTokenizer } from "./unsupported-tokenizer.js";

/** A token that is found in the text before anything else is done to it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Found only between characters that are no part of a word. */
  readonly singleWord: boolean;
  /** Takes the white space before it along. */
  readonly lstrip: boolean;
  /** Takes the white space after it along. */
  readonly rstrip: boolean;
  /** Looked for in the normalized text, itself normalized. */
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A piece of a text: an added token's id, or text that is left for the model. */
export type TextPart = number | { readonly text: string; readonly first: boolean };

/**
 * The added tokens of a `tokenizer.json`, in the order in which the Rust library takes them: empty ones are ignored, and of two
 * with the same text the later one says how it is found.
 *
 * @throws UnsupportedTokenizer where that library would give a token another id than the file says
 */
export function readAddedTokens({ added_tokens: listed, model }: JsonObject): readonly AddedToken[] {
  const known = vocabularyOf(model);
  const tokens = new Map<string, AddedToken>();
  let next = known.size;
  for (const entry of Array.isArray(listed) ? (listed as readonly JsonValue[]) : []) {
    if (!isJsonObject(entry) || typeof entry["content"] !== "string" || entry["content"] === "") continue;
    const { content, id } = entry;
    const given = known.get(content) ?? tokens.get(content)?.id ?? next;
    if (id !== given) {
      throw new UnsupportedTokenizer(
        `the added token ${quote(content)} has the id ${clip(String(id))} in the file, and the tokenizers library gives it ${given}`,
        "save it again in Python, which writes the ids that it gives: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
      );
    }
    next = Math.max(next, given + 1);
    const special = entry["special"] === true;
    tokens.set(content, {
      id: given,
      content,
      singleWord: entry["single_word"] === true,
      lstrip: entry["lstrip"] === true,
      rstrip: entry["rstrip"] === true,
      normalized: typeof entry["normalized"] === "boolean" ? entry["normalized"] : !special,
      special,
    });
  }
  return [...tokens.values()];
}

function vocabularyOf(model: JsonValue | undefined): ReadonlyMap<string, number> {
  const vocab = isJsonObject(model) ? model["vocab"] : undefined;
  if (Array.isArray(vocab)) {
    return new Map(
      (vocab as readonly JsonValue[]).map((entry, id) => [Array.isArray(entry) ? String(entry[0]) : "", id]),
    );
  }
  return isJsonObject(vocab) ? new Map(Object.entries(vocab).map(([token, id]) => [token, Number(id)])) : new Map();
}

/**
 * Cuts texts at added tokens as the Rust library does: first at those that are looked for in the text as it is, then,
 * in what lies between and is normalized by itself, at the others.
 */
export class AddedTokenSplitter {
  readonly #plain: Trie;
  readonly #normalized: Trie;
  readonly #normalize: Normalizer | null;

  constructor(tokens: readonly AddedToken[], normalize: Normalizer | null) {
    this.#normalize = normalize;
    // Of two that look the same once they are normalized the one with the lower id is found.
    const ordered = tokens.toSorted((a, b) => a.id - b.id);
    this.#plain = trieOf(ordered.filter(({ normalized }) => !normalized).map((token) => [token.content, token]));
    this.#normalized = trieOf(
      ordered
        .filter(({ normalized }) => normalized)
        .map((token) => [normalize === null ? token.content : normalize(token.content), token]),
    );
  }

  /** Parts of a text that is not empty, in order; `first` marks what begins where the whole text begins. */
  split(text: string): TextPart[] {
    const parts: TextPart[] = [];
    for (const part of cut(text, this.#plain, true)) {
      if (typeof part === "number") parts.push(part);
      else {
        const normal = this.#normalize === null ? part.text : this.#normalize(part.text);
        parts.push(...cut(normal, this.#normalized, part.first));
      }
    }
    return parts;
  }
}

interface Trie {
  readonly next: Map<number, Trie>;
  token: AddedToken | null;
}

function trieOf(tokens: readonly (readonly [content: string, token: AddedToken])[]): Trie {
  const root: Trie = { next: new Map(), token: null };
  for (const [content, token] of tokens) {
    let node = root;
    for (let i = 0; i < content.length; i++) {
      const unit = content.charCodeAt(i);
      const child: Trie = node.next.get(unit) ?? { next: new Map(), token: null };
      node.next.set(unit, child);
      node = child;
    }
    if (node !== root) node.token ??= token;
  }
  return root;
}

/** `\w` of Rust's regex crate. */
const word = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200C\\u200D]";
const wordBefore = new RegExp(`${word}$`, "u");
const wordBehind = new RegExp(`^${word}`, "u");
const spaceBehind = /^\p{White_Space}*/u;
/** A character, which may be two units. */
const longestCharacter = 2;

/** Cuts at the longest token of each place, from left to right. */
function cut(text: string, tokens: Trie, first: boolean): TextPart[] {
  const parts: TextPart[] = [];
  let done = 0;
  const keep = (end: number): void => {
    if (done < end) parts.push({ text: text.slice(done, end), first: first && done === 0 });
  };
  for (let at = 0; at < text.length; ) {
    const found = longest(text, at, tokens);
    if (found === null) {
      at++;
      continue;
    }
    const { token, end } = found;
    const start = at;
    at = end;
    if (token.singleWord && touchesWord(text, start, end)) continue;
    const stop = token.rstrip ? end + (spaceBehind.exec(text.slice(end))?.[0].length ?? 0) : end;
    const begin = token.lstrip ? Math.max(done, spaceStart(text, start)) : start;
    // The token before has taken all of this one along as white space.
    if (begin >= stop) continue;
    keep(begin);
    parts.push(token.id);
    done = stop;
  }
  keep(text.length);
  return parts;
}

function longest(text: string, from: number, tokens: Trie): { token: AddedToken; end: number } | null {
  let found: { token: AddedToken; end: number } | null = null;
  let node: Trie | undefined = tokens;
  for (let at = from; at < text.length; ) {
    node = node.next.get(text.charCodeAt(at++));
    if (node === undefined) break;
    if (node.token !== null) found = { token: node.token, end: at };
  }
  return found;
}

function touchesWord(text: string, start: number, end: number): boolean {
  return (
    wordBefore.test(text.slice(Math.max(0, start - longestCharacter), start)) ||
    wordBehind.test(text.slice(end, end + longestCharacter))
  );
}

/** Where the white space begins that ends at `end`. */
function spaceStart(text: string, end: number): number {
  let start = end;
  while (start > 0 && /\p{White_Space}/u.test(text.charAt(start - 1))) start--;
  return start;
}
