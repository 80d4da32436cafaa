import {
  capitalize,
  characters,
  lengthOf,
  onlySpace,
  splitLines,
  splitText,
  splitTextFromEnd,
  stripEnd,
  stripStart,
  titleCase,
} from "../python-text.js";
import { TemplateError, UnsupportedConstruct } from "../template-error.js";
import { Callable, isTrue, iterate, numberOf, Tuple, typeName, type Value } from "../values.js";
import { bindArguments } from "./call-arguments.js";

type Bound = readonly (Value | undefined)[];
type Method = readonly [parameters: readonly string[], required: number, run: (text: string, args: Bound) => Value];

const noKeyword = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `argument ${i + 1}`);
const strip = (run: (text: string, chars?: string) => string): Method => [
  noKeyword(1),
  0,
  (text, [chars]) => (chars === undefined || chars === null ? run(text) : run(text, textArgument(chars))),
];
const plain = (run: (text: string) => Value): Method => [[], 0, run];

const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["lower", plain((text) => text.toLowerCase())],
  ["upper", plain((text) => text.toUpperCase())],
  ["title", plain(titleCase)],
  ["capitalize", plain(capitalize)],
  ["strip", strip((text, chars) => stripStart(stripEnd(text, chars), chars))],
  ["lstrip", strip(stripStart)],
  ["rstrip", strip(stripEnd)],
  ["split", [["sep", "maxsplit"], 0, (text, [sep, most]) => splitText(text, separator(sep), integer(most, -1))]],
  [
    "rsplit",
    [["sep", "maxsplit"], 0, (text, [sep, most]) => splitTextFromEnd(text, separator(sep), integer(most, -1))],
  ],
  ["splitlines", [["keepends"], 0, (text, [keep]) => splitLines(text, keep !== undefined && isTrue(keep))]],
  ["startswith", [noKeyword(3), 1, (text, args) => affix(text, args, (part, whole) => whole.startsWith(part))]],
  ["endswith", [noKeyword(3), 1, (text, args) => affix(text, args, (part, whole) => whole.endsWith(part))]],
  [
    "replace",
    [
      noKeyword(3),
      2,
      (text, [from, to, most]) => replaceText(text, textArgument(from), textArgument(to), integer(most, -1)),
    ],
  ],
  ["join", [noKeyword(1), 1, (text, [items = null]) => iterate(items).map(textArgument).join(text)]],
  ["find", [noKeyword(3), 1, (text, args) => position(text, args, false)]],
  ["rfind", [noKeyword(3), 1, (text, args) => position(text, args, true)]],
  ["index", [noKeyword(3), 1, (text, args) => found(position(text, args, false))]],
  ["rindex", [noKeyword(3), 1, (text, args) => found(position(text, args, true))]],
  ["count", [noKeyword(3), 1, (text, args) => occurrences(text, args)]],
  ["removeprefix", [noKeyword(1), 1, (text, [part]) => withoutPrefix(text, textArgument(part))]],
  ["removesuffix", [noKeyword(1), 1, (text, [part]) => withoutSuffix(text, textArgument(part))]],
  ["partition", [noKeyword(1), 1, (text, [part]) => partition(text, textArgument(part))]],
  ["rpartition", [noKeyword(1), 1, (text, [part]) => partitionFromEnd(text, textArgument(part))]],
  ["isspace", plain((text) => onlySpace.test(text))],
  ["isalpha", plain((text) => /^\p{L}+$/u.test(text))],
  ["isalnum", plain((text) => /^[\p{L}\p{N}]+$/u.test(text))],
  ["isdecimal", plain((text) => /^\p{Nd}+$/u.test(text))],
  ["isdigit", plain((text) => /^[\p{Nd}\u00b2\u00b3\u00b9\u2070-\u2089\u2460-\u2468]+$/u.test(text))],
  ["isascii", plain((text) => /^\p{ASCII}*$/u.test(text))],
  ["islower", plain((text) => /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text))],
  ["isupper", plain((text) => /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text))],
]);

/** What Python's str has beyond these; a template that asks for one is refused. */
const others = new Set(
  "casefold center encode expandtabs format format_map isidentifier isnumeric isprintable istitle ljust maketrans rjust swapcase translate zfill".split(
    " ",
  ),
);

/** Whether Python's str has a method of this name. */
export function isTextMethod(name: string): boolean {
  return methods.has(name) || others.has(name);
}

/** A method of str, bound to its text. */
export function textMethod(text: string, name: string): Callable {
  const method = methods.get(name);
  if (method === undefined) throw new UnsupportedConstruct(`the method ${name}() of a str`);
  const [parameters, required, run] = method;
  return new Callable(name, (args, named) => run(text, bindArguments(name, parameters, args, named, required)));
}

function textArgument(value: Value | undefined): string {
  if (typeof value === "string") return value;
  throw new TemplateError(`expected a str, got ${typeName(value ?? null)}`);
}

function separator(value: Value | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  const text = textArgument(value);
  if (text === "") throw new TemplateError("empty separator");
  return text;
}

function integer(value: Value | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number" && typeof value !== "boolean") {
    throw new TemplateError(`'${typeName(value)}' object cannot be interpreted as an integer`);
  }
  return Number(numberOf(value));
}

/** The part of a text that `start` and `end` of a search name, and where it begins. */
function part(text: string, start: Value | undefined, end: Value | undefined): readonly [string, number] {
  if ((start ?? null) === null && (end ?? null) === null) return [text, 0];
  const all = characters(text);
  const clamp = (bound: number): number => Math.min(Math.max(bound < 0 ? bound + all.length : bound, 0), all.length);
  const from = clamp(integer(start ?? 0, 0));
  return [all.slice(from, clamp(integer(end ?? all.length, 0))).join(""), from];
}

function affix(text: string, [parts, start, end]: Bound, test: (part: string, whole: string) => boolean): boolean {
  const [whole] = part(text, start, end);
  if (parts instanceof Tuple) return parts.items.some((item) => test(textArgument(item), whole));
  return test(textArgument(parts), whole);
}

function position(text: string, [sought, start, end]: Bound, isLast: boolean): number {
  const [whole, from] = part(text, start, end);
  const at = isLast ? whole.lastIndexOf(textArgument(sought)) : whole.indexOf(textArgument(sought));
  return at < 0 ? -1 : from + lengthOf(whole.slice(0, at));
}

function found(at: number): number {
  if (at < 0) throw new TemplateError("substring not found");
  return at;
}

function occurrences(text: string, [sought, start, end]: Bound): number {
  const [whole] = part(text, start, end);
  const wanted = textArgument(sought);
  return wanted === "" ? lengthOf(whole) + 1 : whole.split(wanted).length - 1;
}

/** `str.replace(from, to, most)` */
export function replaceText(text: string, from: string, to: string, most: number): string {
  if (from === "") {
    const all = characters(text);
    const places = most < 0 ? all.length + 1 : Math.min(most, all.length + 1);
    return all.map((char, i) => (i < places ? to + char : char)).join("") + (places > all.length ? to : "");
  }
  return splitText(text, from, most).join(to);
}

function withoutPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

function withoutSuffix(text: string, suffix: string): string {
  return suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
}

function partition(text: string, sought: string): Tuple {
  if (sought === "") throw new TemplateError("empty separator");
  const at = text.indexOf(sought);
  return new Tuple(at < 0 ? [text, "", ""] : [text.slice(0, at), sought, text.slice(at + sought.length)]);
}

function partitionFromEnd(text: string, sought: string): Tuple {
  if (sought === "") throw new TemplateError("empty separator");
  const at = text.lastIndexOf(sought);
  return new Tuple(at < 0 ? ["", "", text] : [text.slice(0, at), sought, text.slice(at + sought.length)]);
}
