/** Stands for the bytes of a character that is not complete yet. */
const INCOMPLETE = "\uFFFD";

/** Text of token ids, special tokens left out. */
export type DecodeTokens = (ids: readonly number[]) => string;

/**
 * Makes text of tokens as they come, in pieces of whole characters: a character may be of several tokens, and what a
 * token's text is can depend on the one before it.
 */
export class TextStream {
  readonly #ids: number[];
  /** Tokens from `#begin` to `#shown` are decoded before the new ones, for their sake only. */
  #begin = 0;
  #shown: number;

  /** @param prompt what stands before the text and is not part of it */
  constructor(
    private readonly decode: DecodeTokens,
    prompt: ArrayLike<number>,
  ) {
    // A few are enough: no tokenizer looks further back than a word.
    this.#ids = Array.from(prompt).slice(-8);
    this.#shown = this.#ids.length;
  }

  /** The text that a token completes; empty while a character is incomplete. */
  push(id: number): string {
    this.#ids.push(id);
    const fresh = this.#fresh();
    if (fresh === "" || fresh.endsWith(INCOMPLETE)) return "";
    this.#begin = this.#shown;
    this.#shown = this.#ids.length;
    return fresh;
  }

  /** What is left when no token follows, without a character that stayed incomplete. */
  end(): string {
    return this.#fresh().replace(/\uFFFD+$/, "");
  }

  #fresh(): string {
    const before = this.decode(this.#ids.slice(this.#begin, this.#shown));
    return this.decode(this.#ids.slice(this.#begin)).slice(before.length);
  }
}
