import type { JsonValue } from "./json.js";
import { outsideStrings } from "./json-words.js";

/**
 * The JSON text of a value as Python writes it: numbers that JSON does not have are spelled `NaN`, `Infinity` and
 * `-Infinity`.
 *
 * @param indent spaces for each level; none puts everything on one line
 */
export function jsonText(value: JsonValue, indent?: number): string {
  const numbers: string[] = [];
  // No string of the value can hold what stands for a number: the names are made until none occurs.
  let mark = "number";
  const plain = JSON.stringify(value);
  while (plain.includes(mark)) mark += "_";
  const text = JSON.stringify(
    value,
    (_key, entry: unknown) => {
      if (typeof entry !== "number" || Number.isFinite(entry)) return entry;
      return `${mark}${numbers.push(String(entry)) - 1}`;
    },
    indent,
  );
  return numbers.reduce((whole, word, i) => whole.replace(`"${mark}${i}"`, word), text);
}

/**
 * The same JSON without the three words of Python, for readers that know standard JSON only: infinities become numbers that
 * every reader rounds to infinity, NaN becomes null.
 */
export function standardJson(text: string): string {
  return outsideStrings(text, (word) => ({ NaN: "null", Infinity: "1e999", "-Infinity": "-1e999" })[word]);
}
