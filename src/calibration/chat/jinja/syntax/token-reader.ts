import { TemplateError } from "../template-error.js";
import type { Token, TokenKind } from "./tokenize.js";

const atEnd: Token = { kind: "end", value: "", line: 0 };

/** The tokens of a template, one after the other. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get current(): Token {
    return this.#tokens[this.#at] ?? { ...atEnd, line: this.#tokens.at(-1)?.line ?? 1 };
  }

  get next(): Token {
    return this.#tokens[this.#at + 1] ?? atEnd;
  }

  get isDone(): boolean {
    return this.#at >= this.#tokens.length;
  }

  take(): Token {
    const token = this.current;
    this.#at++;
    return token;
  }

  is(kind: TokenKind, ...values: readonly string[]): boolean {
    return !this.isDone && matches(this.current, kind, values);
  }

  /** Takes the current token if it is this one. */
  skip(kind: TokenKind, value: string): boolean {
    const found = this.is(kind, value);
    if (found) this.#at++;
    return found;
  }

  expect(kind: TokenKind, value?: string): Token {
    if (this.is(kind, ...(value === undefined ? [] : [value]))) return this.take();
    throw this.error(`expected ${value === undefined ? `a ${kind}` : `'${value}'`}`);
  }

  error(what: string): TemplateError {
    const { kind, value, line } = this.current;
    const found = this.isDone ? "the end of the template" : kind === "text" ? "text" : `'${value}'`;
    return new TemplateError(`line ${line}: ${what}, got ${found}`);
  }
}

function matches(token: Token, kind: TokenKind, values: readonly string[]): boolean {
  return token.kind === kind && (values.length === 0 || values.includes(token.value));
}
