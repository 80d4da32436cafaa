import { endOfString } from "../../../checkpoint/json/end-of-string.js";
import { Float, type Key, type Value } from "../../chat/jinja/values.js";

/** Deeper nesting than any data set has; bounds the recursion of all that walks the value. */
const maxDepth = 64;
const space = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const words: readonly (readonly [string, Value])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
  ["NaN", new Float(Number.NaN)],
  ["Infinity", new Float(Number.POSITIVE_INFINITY)],
  ["-Infinity", new Float(Number.NEGATIVE_INFINITY)],
];

/**
 * Parses JSON as Python does, so that a chat template writes the same of it: `1.0` stays a float, long integers keep all
 * their digits, keys their order, and NaN and Infinity, which Python writes too, are floats.
 *
 * @throws SyntaxError that says what stands where it should not.
 */
export function parseExactJson(text: string): Value {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skipSpace();
  }

  value(depth: number): Value {
    if (depth > maxDepth) throw new SyntaxError(`nested more than ${maxDepth} levels deep`);
    const char = this.#text.charAt(this.#at);
    if (char === '"') return this.#string();
    if (char === "{") return this.#object(depth);
    if (char === "[") return this.#array(depth);
    for (const [word, value] of words) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#advance(word.length);
      return value;
    }
    number.lastIndex = this.#at;
    const found = number.exec(this.#text);
    if (found === null) throw this.#unexpected();
    const [digits, fraction, exponent] = found;
    this.#advance(digits.length);
    if (fraction !== undefined || exponent !== undefined) return new Float(Number(digits));
    const integer = Number(digits);
    return Number.isSafeInteger(integer) ? integer : BigInt(digits);
  }

  end(): void {
    if (this.#at < this.#text.length) throw this.#unexpected();
  }

  #object(depth: number): Value {
    const entries = new Map<Key, Value>();
    this.#advance(1);
    for (let isFirst = true; !this.#skip("}"); isFirst = false) {
      if (!isFirst) this.#expect(",");
      if (this.#text.charAt(this.#at) !== '"') throw this.#unexpected();
      const key = this.#string();
      this.#expect(":");
      entries.set(key, this.value(depth + 1));
    }
    return entries;
  }

  #array(depth: number): Value {
    const items: Value[] = [];
    this.#advance(1);
    for (let isFirst = true; !this.#skip("]"); isFirst = false) {
      if (!isFirst) this.#expect(",");
      items.push(this.value(depth + 1));
    }
    return items;
  }

  #string(): string {
    const end = endOfString(this.#text, this.#at);
    // Escapes and the characters that need one are the platform's business.
    const text = JSON.parse(this.#text.slice(this.#at, end)) as string;
    this.#advance(end - this.#at);
    return text;
  }

  #skip(char: string): boolean {
    const found = this.#text.charAt(this.#at) === char;
    if (found) this.#advance(1);
    return found;
  }

  #expect(char: string): void {
    if (!this.#skip(char)) throw this.#unexpected();
  }

  #advance(length: number): void {
    this.#at += length;
    this.#skipSpace();
  }

  #skipSpace(): void {
    space.lastIndex = this.#at;
    this.#at += space.exec(this.#text)?.[0].length ?? 0;
  }

  #unexpected(): SyntaxError {
    const char = this.#text.charAt(this.#at);
    if (char === "") return new SyntaxError("it ends too early");
    return new SyntaxError(`unexpected ${JSON.stringify(char)} at character ${this.#at + 1}`);
  }
}
