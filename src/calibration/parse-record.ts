import { clip, parseJson } from "../checkpoint/json.js";
import { CalibrationError } from "../errors.js";
import { isRecord, type TextRecord } from "./record-text.js";

/**
 * The JSON object of a line; numbers may be Python's `NaN` and `Infinity`.
 *
 * @param where the file and line, for the error
 * @param next what to do about a line that holds none
 * @throws CalibrationError when the line is no JSON, or another value.
 */
export function parseRecord(line: string, where: string, next: string): TextRecord {
  let value: unknown;
  let cause: unknown;
  try {
    value = parseJson(line);
  } catch (error) {
    cause = error;
  }
  if (isRecord(value)) return value;
  throw new CalibrationError({
    what: cause === undefined ? "the line is no JSON object" : "the line is not valid JSON",
    where,
    // V8 may quote the line, and a document may be long: its number says enough.
    ...(cause instanceof Error && { why: clip(cause.message) }),
    next,
    cause,
  });
}
