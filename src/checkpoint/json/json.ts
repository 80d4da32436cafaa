import { CheckpointError } from "../../errors.js";
import { endOfString } from "./end-of-string.js";
import { outsideStrings } from "./json-words.js";

/** Any value that JSON can hold. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/** A JSON object as parsed, in the file's own words. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Deeper nesting than any model's files use; bounds the recursion of everything that walks the value. */
const maxDepth = 64;

/**
 * Parses JSON as Python's `json` does: also the words `NaN`, `Infinity` and `-Infinity`, which it writes for numbers that
 * JSON does not have.
 *
 * @throws SyntaxError for everything else
 */
export function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    const standard = withoutWords(text);
    if (standard === null) throw error;
    return JSON.parse(standard.text, (_key, value: JsonValue) =>
      value === standard.mark ? Number.NaN : value,
    ) as JsonValue;
  }
}

// JSON.parse rounds 1e999 to infinity; for NaN a string stands in that the text does not hold.
function withoutWords(text: string): { readonly text: string; readonly mark: string } | null {
  let mark = "NaN";
  while (text.includes(`"${mark}"`)) mark += "_";
  let found = false;
  const standard = outsideStrings(text, (word) => {
    found = true;
    if (word === "NaN") return `"${mark}"`;
    return word === "Infinity" ? "1e999" : "-1e999";
  });
  return found ? { text: standard, mark } : null;
}

/**
 * Parses the text of a JSON file whose top level must be an object, as `parseJson` does.
 * @param where the file, for the error
 * @param duplicates refuse an object that has a key twice (JSON.parse would silently keep the last one)
 * @throws CheckpointError on invalid JSON, deep nesting, duplicate keys or another top-level value
 */
export function parseJsonObject(text: string, where: string, duplicates: "refuse" | "last" = "last"): JsonObject {
  const next = "restore the file from the model's source, for example by downloading it again";
  const depth = nestingDepth(text);
  if (depth > maxDepth) {
    throw new CheckpointError({ what: `JSON nested ${depth} levels deep; at most ${maxDepth} are read`, where, next });
  }
  let value: JsonValue;
  try {
    value = parseJson(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : undefined;
    throw new CheckpointError({ what: "invalid JSON", where, ...(why && { why: clip(why) }), next, cause });
  }
  if (!isJsonObject(value)) throw new CheckpointError({ what: "the top level is not a JSON object", where, next });
  const twice = duplicates === "refuse" ? duplicateKey(text) : null;
  if (twice !== null) throw new CheckpointError({ what: `the key ${quote(twice)} occurs twice`, where, next });
  return value;
}

/** A name from a file, safe to print: quoted, control characters escaped, at most 120 characters of it. */
export function quote(name: string): string {
  const clipped = JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}...` : name);
  // JSON leaves DEL and U+0080..U+009F as they are, and terminals obey some of them.
  return clipped.replaceAll(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** One line of at most 160 characters of a message that may quote a file; control characters are escaped. */
export function clip(text: string): string {
  const line = text.slice(0, 200).replaceAll(/[\s\p{Cc}]+/gu, (space) => (space.trim() === "" ? " " : quote(space)));
  return line.length > 160 ? `${line.slice(0, 160)}...` : line;
}

/** Deepest nesting of `{` and `[` outside strings; needs no memory, so it runs before anything is built. */
function nestingDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === 0x22) i = endOfString(text, i) - 1;
    else if (char === 0x7b || char === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (char === 0x7d || char === 0x5d) depth--;
  }
  return deepest;
}

/** The first key that some object of the valid JSON `text` has twice. */
function duplicateKey(text: string): string | null {
  const open: (Set<string> | null)[] = [];
  let expectKey = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === 0x22) {
      const end = endOfString(text, i);
      const keys = open.at(-1);
      if (expectKey && keys) {
        const key = JSON.parse(text.slice(i, end)) as string;
        if (keys.has(key)) return key;
        keys.add(key);
        expectKey = false;
      }
      i = end - 1;
    } else if (char === 0x7b || char === 0x5b) {
      open.push(char === 0x7b ? new Set() : null);
      expectKey = char === 0x7b;
    } else if (char === 0x7d || char === 0x5d) {
      open.pop();
      expectKey = false;
    } else if (char === 0x2c) expectKey = open.at(-1) instanceof Set;
  }
  return null;
}
