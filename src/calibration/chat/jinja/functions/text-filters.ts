import { calculate } from "../arithmetic.js";
import {
  capitalize,
  characters,
  lengthOf,
  splitLines,
  splitTextFromEnd,
  stripEnd,
  stripStart,
  wordBreaks,
} from "../python-text.js";
import { TemplateError, UnsupportedConstruct } from "../template-error.js";
import { isList, isTrue, Tuple, typeName, type Value } from "../values.js";
import { jsonOf, textOf } from "../write-value.js";
import type { Filter, OpenFilter } from "./filter.js";
import { formatText } from "./format-text.js";
import { replaceText } from "./text-methods.js";

const plain = (run: (text: string) => Value): Filter => [[], 0, (value) => run(textOf(value))];

/** Jinja's filters that give text, and transformers' `tojson`. */
export const textFilters: Readonly<Record<string, Filter | OpenFilter>> = {
  string: plain((text) => text),
  upper: plain((text) => text.toUpperCase()),
  lower: plain((text) => text.toLowerCase()),
  capitalize: plain(capitalize),
  title: plain(title),
  trim: [["chars"], 0, (value, [chars]) => trim(textOf(value), chars)],
  replace: [["old", "new", "count"], 2, (value, [from = "", to = "", most]) => replace(value, from, to, most)],
  indent: [
    ["width", "first", "blank"],
    0,
    (value, [width = 4, first = false, blank = false]) => indent(value, width, isTrue(first), isTrue(blank)),
  ],
  truncate: [["length", "killwords", "end", "leeway"], 0, (value, args) => truncate(textOf(value), args)],
  tojson: [["ensure_ascii", "indent", "separators", "sort_keys"], 0, toJson],
  format: formatFilter,
};

function title(text: string): string {
  return text
    .split(wordBreaks)
    .map((part) => {
      const [first = "", ...rest] = characters(part);
      return first.toUpperCase() + rest.join("").toLowerCase();
    })
    .join("");
}

function trim(text: string, chars: Value | undefined): string {
  const set = chars === undefined || chars === null ? undefined : textOf(chars);
  return stripStart(stripEnd(text, set), set);
}

function replace(value: Value, from: Value, to: Value, most: Value | undefined): string {
  const count = most === undefined || most === null ? -1 : most;
  if (typeof count !== "number") throw new TemplateError(`replace() can't take a ${typeName(count)} as count`);
  return replaceText(textOf(value), textOf(from), textOf(to), count);
}

function indent(value: Value, width: Value, first: boolean, blank: boolean): string {
  const text = calculate("+", value, "\n");
  const space = typeof width === "string" ? width : calculate("*", " ", width);
  if (typeof text !== "string" || typeof space !== "string") throw new TemplateError("only text can be indented");
  const lines = splitLines(text);
  const indented = lines.map((line, i) => (i > 0 && (blank || line !== "") ? space + line : line));
  return (first ? space : "") + indented.join("\n");
}

function truncate(
  text: string,
  [length = 255, kill = false, end = "...", leeway]: readonly (Value | undefined)[],
): string {
  const slack = leeway === undefined || leeway === null ? 5 : leeway;
  if (typeof length !== "number" || typeof end !== "string" || typeof slack !== "number") {
    throw new TemplateError("truncate() takes a length, a flag, a text and a leeway");
  }
  if (length < lengthOf(end)) throw new TemplateError("truncate() takes a length of at least the end's");
  if (lengthOf(text) <= length + slack) return text;
  const kept = characters(text)
    .slice(0, length - lengthOf(end))
    .join("");
  return (isTrue(kill) ? kept : (splitTextFromEnd(kept, " ", 1)[0] ?? "")) + end;
}

function formatFilter(value: Value, args: readonly Value[], named: ReadonlyMap<string, Value>): string {
  if (named.size > 0) throw new UnsupportedConstruct("the filter 'format' with named arguments");
  return formatText(textOf(value), args);
}

function toJson(value: Value, args: readonly (Value | undefined)[]): string {
  const [ensureAscii = false, indentation = null, separators = null, sortKeys = false] = args;
  let space: string | null = null;
  if (typeof indentation === "string") space = indentation;
  else if (typeof indentation === "number") space = " ".repeat(Math.max(0, indentation));
  else if (indentation !== null) throw new TemplateError(`tojson can't indent by a ${typeName(indentation)}`);
  const [item, key] = separators === null ? [space === null ? ", " : ",", ": "] : pair(separators);
  return jsonOf(value, {
    ensureAscii: isTrue(ensureAscii),
    indent: space,
    itemSeparator: item,
    keySeparator: key,
    sortKeys: isTrue(sortKeys),
  });
}

function pair(value: Value): readonly [string, string] {
  const items = isList(value) ? value : value instanceof Tuple ? value.items : [];
  const [item, key] = items;
  if (items.length === 2 && typeof item === "string" && typeof key === "string") return [item, key];
  throw new TemplateError("separators must be two texts");
}
