import { isDeepStrictEqual } from "node:util";
import type { TensorCheck } from "../../contract/tensor-check.js";
import { VERSION } from "../provenance.js";
import type { GgufValue } from "./layout.js";

/**
 * Compares what a file says of the model, its tokenizer and its chat template with what the result would say: a wrong
 * base of rotation or a lost token leaves every tensor right and every answer wrong.
 */
export function checkMetadata(
  stored: ReadonlyMap<string, GgufValue>,
  expected: ReadonlyMap<string, GgufValue>,
): TensorCheck {
  const facts = { name: "metadata", source: null };
  for (const key of new Set([...expected.keys(), ...stored.keys()])) {
    const [found, wanted] = [stored.get(key), expected.get(key)];
    if (key === VERSION || isDeepStrictEqual(rounded(found), rounded(wanted))) continue;
    return { ...facts, status: "different", detail: `${key} is ${show(found)} instead of ${show(wanted)}` };
  }
  return { ...facts, status: "same" };
}

/** An f32 as the file holds it. */
function rounded(value: GgufValue | undefined): unknown {
  if (value?.type === "f32") return { ...value, value: Math.fround(value.value) };
  if (value?.type !== "array" || value.element !== "f32") return value;
  return { ...value, values: value.values.map((element) => Math.fround(Number(element))) };
}

function show(value: GgufValue | undefined): string {
  if (value === undefined) return "missing";
  const text = value.type === "array" ? `${value.values.length} values` : String(value.value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
