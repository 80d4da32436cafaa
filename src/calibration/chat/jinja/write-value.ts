import { TemplateError, UnsupportedConstruct } from "./template-error.js";
import {
  Attributes,
  Callable,
  ContentParts,
  Float,
  Iterator,
  isDict,
  isList,
  Namespace,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.js";

/** `str(value)`: what an expression writes. */
export function textOf(value: Value): string {
  if (typeof value === "string") return value;
  if (value instanceof Undefined) return "";
  return representation(value);
}

/** `repr(value)` */
export function representation(value: Value): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (typeof value === "string") return quoted(value);
  if (value instanceof ContentParts) throw new TemplateError("the template writes a list of content parts as it is");
  if (isList(value)) return `[${value.map(representation).join(", ")}]`;
  if (isDict(value)) {
    return `{${[...value].map(([key, item]) => `${representation(key)}: ${representation(item)}`).join(", ")}}`;
  }
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Tuple) {
    return `(${value.items.map(representation).join(", ")}${value.items.length === 1 ? "," : ""})`;
  }
  if (value instanceof View) {
    return value.kind === "range" ? value.written : `${value.kind}([${value.items.map(representation).join(", ")}])`;
  }
  if (value instanceof Undefined) return "Undefined";
  // Python writes the place in memory of what is left, so no model was trained on it.
  const isWritten = value instanceof Iterator || value instanceof Callable || value instanceof Namespace;
  const what = value instanceof Attributes ? value.name : isWritten ? typeName(value) : "object";
  throw new UnsupportedConstruct(`writing a ${what} as text`);
}

const unprintable = /[\p{C}\p{Z}]/u;
const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let result = quote;
  for (const char of text) {
    const escaped = escapes[char] ?? (char === quote ? `\\${char}` : undefined);
    if (escaped !== undefined) result += escaped;
    else if (char === " " || !unprintable.test(char)) result += char;
    else {
      const code = char.codePointAt(0) ?? 0;
      const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
      result += `\\${letter}${code.toString(16).padStart(digits, "0")}`;
    }
  }
  return result + quote;
}

/** `repr` of a float: the shortest digits that give the same number, with an exponent from 1e16 on and below 1e-4. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [digits = "", exponent = ""] = value.toExponential().split("e");
    return `${digits}e${exponent.charAt(0)}${exponent.slice(1).padStart(2, "0")}`;
  }
  const text = String(value);
  if (text.includes("e")) return value.toFixed(20).replace(/0+$/, "");
  return text.includes(".") ? text : `${text}.0`;
}

export interface JsonStyle {
  readonly ensureAscii: boolean;
  /** What a level is indented by; null writes everything into one line. */
  readonly indent: string | null;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
}

/** `json.dumps(value)` */
export function jsonOf(value: Value, style: JsonStyle, level = 0): string {
  if (value === null) return "null";
  if (typeof value === "boolean" || typeof value === "number" || typeof value === "bigint") return String(value);
  if (value instanceof Float) {
    if (Number.isNaN(value.value)) return "NaN";
    return Number.isFinite(value.value) ? floatText(value.value) : value.value < 0 ? "-Infinity" : "Infinity";
  }
  if (typeof value === "string") return jsonString(value, style.ensureAscii);
  if (isList(value) || value instanceof Tuple) {
    const items = isList(value) ? value : value.items;
    return enclosed(
      "[",
      items.map((item) => jsonOf(item, style, level + 1)),
      "]",
      style,
      level,
    );
  }
  if (isDict(value)) {
    const entries = [...value].map(([key, item]) => [String(key), item] as const);
    if (style.sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    const written = entries.map(
      ([key, item]) => `${jsonString(key, style.ensureAscii)}${style.keySeparator}${jsonOf(item, style, level + 1)}`,
    );
    return enclosed("{", written, "}", style, level);
  }
  throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`);
}

function enclosed(open: string, items: readonly string[], close: string, style: JsonStyle, level: number): string {
  if (items.length === 0) return open + close;
  const { indent, itemSeparator } = style;
  if (indent === null) return open + items.join(itemSeparator) + close;
  const line = `\n${indent.repeat(level + 1)}`;
  return `${open}${line}${items.join(itemSeparator + line)}\n${indent.repeat(level)}${close}`;
}

function jsonString(text: string, ensureAscii: boolean): string {
  const written = JSON.stringify(text);
  if (!ensureAscii) return written;
  return written.replaceAll(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
