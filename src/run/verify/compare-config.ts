import { isDeepStrictEqual } from "node:util";
import { CrossblockError } from "../../errors.js";
import type { CompressedTensorsFolder } from "../../format/compressed-tensors/read.js";
import type { TensorCheck } from "../../format/contract/tensor-check.js";
import { sourceSpec } from "../../format/source/source-spec.js";

type Verdict = Pick<TensorCheck, "status" | "detail">;

/**
 * Compares the network that a result's `config.json` describes with the one that was quantized: every tensor may be right
 * and every answer wrong.
 *
 * @param recorded the network as the result's record holds it; null in results of early versions
 */
export function compareConfig(result: CompressedTensorsFolder, recorded: unknown): TensorCheck {
  return { name: "config.json", source: null, ...verdict(result, recorded) };
}

function verdict(result: CompressedTensorsFolder, recorded: unknown): Verdict {
  const { config, storedConfig } = result;
  const keys = new Set([...Object.keys(storedConfig), ...Object.keys(config)]);
  const key = [...keys].find((each) => !isDeepStrictEqual(storedConfig[each], config[each]));
  if (key !== undefined) {
    return { status: "different", detail: `${key} is ${show(storedConfig[key])}, computed is ${show(config[key])}` };
  }
  if (recorded === null) return { status: "same" };
  try {
    const found = difference(JSON.parse(JSON.stringify(sourceSpec(result))), recorded, "");
    return found === null ? { status: "same" } : { status: "different", detail: found };
  } catch (error) {
    if (!(error instanceof CrossblockError)) throw error;
    return { status: "different", detail: error.what };
  }
}

/** The first fact in which two networks differ, by its place; null where none does. */
function difference(found: unknown, wanted: unknown, place: string): string | null {
  if (isDeepStrictEqual(found, wanted)) return null;
  if (Array.isArray(found) && Array.isArray(wanted) && found.length === wanted.length) {
    const at = found.findIndex((each, i) => !isDeepStrictEqual(each, wanted[i]));
    return difference(found[at], wanted[at], `${place}[${at}]`);
  }
  if (!isRecord(found) || !isRecord(wanted)) return `${place} is ${show(found)} instead of ${show(wanted)}`;
  for (const key of new Set([...Object.keys(found), ...Object.keys(wanted)])) {
    const inside = difference(found[key], wanted[key], place === "" ? key : `${place}.${key}`);
    if (inside !== null) return inside;
  }
  return null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  return value === undefined ? "absent" : JSON.stringify(value).slice(0, 80);
}
