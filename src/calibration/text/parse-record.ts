import { clip, quote } from "../../checkpoint/json/json.js";
import { CalibrationError } from "../../errors.js";
import { type Dict, isDict, type Value } from "../chat/jinja/values.js";
import { parseExactJson } from "./json/exact-json.js";

/** A line of a `.jsonl` file as a plain object. */
export type TextRecord = Readonly<Record<string, unknown>>;

/**
 * The JSON object of a line, with the values that Python would read.
 *
 * @param where the file and line, for the error
 * @param next what to do about a line that holds none
 * @throws CalibrationError when the line is no JSON, or another value.
 */
export function parseDict(line: string, where: string, next: string): Dict {
  let value: Value;
  try {
    value = parseExactJson(line);
  } catch (cause) {
    throw new CalibrationError({
      what: "the line is not valid JSON",
      where,
      // The message may quote the line, and a document may be long: its number says enough.
      ...(cause instanceof Error && { why: clip(cause.message) }),
      next,
      cause,
    });
  }
  if (isDict(value)) return value;
  throw new CalibrationError({ what: "the line is no JSON object", where, next });
}

/** As {@link parseDict}, as a plain object of the values of JavaScript. */
export function parseRecord(line: string, where: string, next: string): TextRecord {
  const dict = parseDict(line, where, next);
  try {
    return JSON.parse(line) as TextRecord;
  } catch {
    // Python writes NaN and Infinity, which JSON doesn't have: their fields are left out.
    return Object.fromEntries([...dict].filter(([, value]) => isPlain(value)));
  }
}

function isPlain(value: Value): boolean {
  return (
    value === null ||
    typeof value === "string" ||
    typeof value === "boolean" ||
    typeof value === "number" ||
    Array.isArray(value)
  );
}

/** `the keys "a", "b"` of a record, as an error names them. */
export function keyList(keys: readonly string[]): string {
  if (keys.length === 0) return "no keys";
  const shown = keys.slice(0, 12).map((key) => quote(key.slice(0, 40)));
  return `${keys.length === 1 ? "the key" : "the keys"} ${shown.join(", ")}${keys.length > 12 ? ", ..." : ""}`;
}
