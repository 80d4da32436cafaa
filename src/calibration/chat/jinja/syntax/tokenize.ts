import { onlySpace, stripEnd, stripStart } from "../python-text.js";
import { TemplateError } from "../template-error.js";
import { unescapeLiteral } from "./unescape-literal.js";

export type TokenKind = "text" | "begin" | "end" | "name" | "string" | "integer" | "float" | "operator";

export interface Token {
  readonly kind: TokenKind;
  /** Of `begin` and `end` the delimiter, `{%` and `%}` or `{{` and `}}`; of a string what it stands for. */
  readonly value: string;
  readonly line: number;
}

/**
 * Cuts a template as Python's Jinja does with `trim_blocks` and `lstrip_blocks`: a block takes the line feed after it
 * and the white space between it and the beginning of its line with it, and `-` all white space on its side.
 *
 * @throws TemplateError for a delimiter that is never closed and for characters that no expression has.
 */
export function tokenize(template: string): Token[] {
  return new Scanner(template.replaceAll(/\r\n?/g, "\n").replace(/\n$/, "")).run();
}

const opening = /\{(?:%([-+]?)\s*raw\s*(-?)%\}|([#%{])([-+]?))/g;
const endOfComment = /([-+]?)#\}/g;
const endOfRaw = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g;
const closing = { "{%": /([-+]?)%\}/y, "{{": /(-?)\}\}/y } as const;
// In this order: a float begins like an integer, and "**" like "*".
const parts: readonly (readonly [TokenKind, RegExp])[] = [
  ["float", /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy],
  ["integer", /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy],
  ["name", /[\p{ID_Start}_][\p{ID_Continue}]*/uy],
  ["string", /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/sy],
  ["operator", /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}<>=.:|,;]/y],
];
const partners: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };

class Scanner {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Whether what was read last ended with a line feed. */
  #startsLine = true;

  constructor(source: string) {
    this.#source = source;
  }

  run(): Token[] {
    while (this.#at < this.#source.length) {
      const found = this.#find(opening);
      if (found === null) {
        this.#text(this.#source.slice(this.#at));
        break;
      }
      const [whole, rawSign, rawEnd = "", kind, sign = rawSign ?? ""] = found;
      this.#textBefore(found.index, sign, kind !== "{");
      this.#advance(found.index + whole.length);
      if (kind === undefined) this.#raw(rawEnd);
      else if (kind === "#") this.#comment();
      else this.#tag(kind === "%" ? "{%" : "{{");
    }
    return this.#tokens;
  }

  #raw(signOfBegin: string): void {
    if (signOfBegin === "-") this.#skipSpace();
    const end = this.#find(endOfRaw);
    if (end === null) throw this.#error("{% raw %} is never closed");
    this.#textBefore(end.index, end[1] ?? "", true);
    this.#advance(end.index + end[0].length);
    this.#afterBlock(end[2] ?? "");
  }

  #comment(): void {
    const end = this.#find(endOfComment);
    if (end === null) throw this.#error("a comment is never closed");
    this.#advance(end.index + end[0].length);
    this.#afterBlock(end[1] ?? "");
  }

  #tag(delimiter: "{%" | "{{"): void {
    this.#push("begin", delimiter);
    const open: string[] = [];
    for (;;) {
      // Within brackets "}}" ends two dictionaries.
      const end = open.length === 0 ? this.#find(closing[delimiter]) : null;
      if (end !== null) {
        this.#push("end", delimiter === "{%" ? "%}" : "}}");
        this.#advance(this.#at + end[0].length);
        if (delimiter === "{%") this.#afterBlock(end[1] ?? "");
        else if (end[1] === "-") this.#skipSpace();
        return;
      }
      const space = this.#find(/\s+/y);
      if (space !== null) this.#advance(this.#at + space[0].length);
      else this.#part(open);
    }
  }

  #part(open: string[]): void {
    for (const [kind, pattern] of parts) {
      const value = this.#find(pattern)?.[0];
      if (value === undefined) continue;
      if (kind === "operator") {
        if ("([{".includes(value)) open.push(value);
        else if (value in partners && open.pop() !== partners[value]) throw this.#error(`unexpected '${value}'`);
      }
      this.#push(kind, kind === "string" ? unescapeLiteral(value.slice(1, -1)) : value);
      this.#advance(this.#at + value.length);
      return;
    }
    if (this.#at >= this.#source.length) throw this.#error("a tag is never closed");
    throw this.#error(`unexpected character ${JSON.stringify(this.#source.charAt(this.#at))}`);
  }

  #textBefore(end: number, sign: string, isBlock: boolean): void {
    const text = this.#source.slice(this.#at, end);
    if (sign === "-") {
      this.#text(stripEnd(text));
      return;
    }
    const lineStart = text.lastIndexOf("\n") + 1;
    const isIndent = (lineStart > 0 || this.#startsLine) && onlySpace.test(text.slice(lineStart));
    this.#text(sign !== "+" && isBlock && isIndent ? text.slice(0, lineStart) : text);
  }

  #afterBlock(sign: string): void {
    if (sign === "-") this.#skipSpace();
    else if (sign === "" && this.#source.charAt(this.#at) === "\n") this.#advance(this.#at + 1);
  }

  #skipSpace(): void {
    this.#advance(this.#source.length - stripStart(this.#source.slice(this.#at)).length);
  }

  #text(value: string): void {
    if (value !== "") this.#push("text", value);
  }

  #push(kind: TokenKind, value: string): void {
    this.#tokens.push({ kind, value, line: this.#line });
  }

  #advance(to: number): void {
    if (to === this.#at) return;
    for (let i = this.#at; i < to; i++) if (this.#source.charCodeAt(i) === 0x0a) this.#line++;
    this.#startsLine = this.#source.charCodeAt(to - 1) === 0x0a;
    this.#at = to;
  }

  /** Sticky patterns match here, global ones here or later. */
  #find(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source);
  }

  #error(what: string): TemplateError {
    return new TemplateError(`line ${this.#line}: ${what}`);
  }
}
