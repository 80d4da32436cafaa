import { TemplateError, UnsupportedConstruct } from "../template-error.js";

const escapeSequence = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g;

const characters: Readonly<Record<string, string>> = {
  "\n": "",
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/**
 * What a string literal of Python stands for. A backslash before a character that needs none stays.
 *
 * @param inner what is between the quotes
 */
export function unescapeLiteral(inner: string): string {
  return inner.replaceAll(escapeSequence, (whole: string, ...groups: (string | undefined)[]) => {
    const [x, u, long, octal, other = ""] = groups;
    const hex = x ?? u ?? long;
    if (hex !== undefined) return characterOf(Number.parseInt(hex, 16));
    if (octal !== undefined) return characterOf(Number.parseInt(octal, 8));
    if (other === "N") throw new UnsupportedConstruct("the escape \\N{...} in a string");
    if ("xuU".includes(other)) throw new TemplateError(`broken escape \\${other} in a string`);
    return characters[other] ?? whole;
  });
}

function characterOf(code: number): string {
  if (code > 0x10ffff) throw new TemplateError("a string has an escape beyond U+10FFFF");
  return String.fromCodePoint(code);
}
