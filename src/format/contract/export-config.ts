import { isDeepStrictEqual } from "node:util";
import { endOfString } from "../../checkpoint/json/end-of-string.js";
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from "../../checkpoint/json/json.js";
import { jsonText } from "../../checkpoint/json/json-text.js";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import type { ExportSource } from "./export-source.js";

/** Bytes of the largest `config.json` that is read; real ones have some kilobytes. */
const maxConfigLength = 4_000_000;

/**
 * The text of an export's `config.json`: that of the source with the format's `own` members, and without the
 * `quantization_config` of another. Values that did not change keep their own spelling, because `10000.0` and `10000` are
 * two types to the Python readers; `NaN` and `Infinity`, which those write and read, stay words.
 */
export function exportedConfig(source: Pick<ExportSource, "config" | "folder">, own: JsonObject): string {
  const original = ModelFolder.open(source.folder).readText("config.json", maxConfigLength) ?? "{}";
  const members = spelledMembers(source.config, parseJsonObject(original, "config.json"), original);
  const all = [
    ...members.filter(([key]) => key !== "quantization_config" && !Object.hasOwn(own, key)),
    ...Object.entries(own).map(([key, value]) => [key, indented(value)] as const),
  ];
  return `{\n${all.map(([key, value]) => `  ${JSON.stringify(key)}: ${value}`).join(",\n")}\n}\n`;
}

/** The members of `config` with their text: that of `original`, which `parsed` was read from, where the value is the same. */
function spelledMembers(config: JsonObject, parsed: JsonObject, original: string): (readonly [string, string])[] {
  const spelled = topLevelMembers(original);
  return Object.entries(config).map(([key, value]) => {
    const [before, text] = [parsed[key], spelled.get(key)];
    if (text === undefined) return [key, indented(value)];
    if (isDeepStrictEqual(before, value)) return [key, text];
    // The part of a larger model that is its text network may have changed in a few keys.
    if (!isJsonObject(before) || !isJsonObject(value)) return [key, indented(value)];
    const inside = spelledMembers(value, before, text).map(([name, each]) => `    ${JSON.stringify(name)}: ${each}`);
    return [key, inside.length === 0 ? "{}" : `{\n${inside.join(",\n")}\n  }`];
  });
}

function indented(value: JsonValue): string {
  return jsonText(value, 2).replaceAll("\n", "\n  ");
}

/** The members of a valid JSON object with the text of their values; of a key that occurs twice the last, as in JSON.parse. */
export function topLevelMembers(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let depth = 0;
  let key: string | null = null;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '"') {
      const end = endOfString(text, i);
      if (depth === 1 && key === null) key = JSON.parse(text.slice(i, end)) as string;
      i = end - 1;
    } else if (char === ":" && depth === 1 && start === 0) {
      start = i + 1;
    } else if (char === "{" || char === "[") {
      depth++;
    } else if (char === "}" || char === "]" || (char === "," && depth === 1)) {
      if (depth === 1 && key !== null) {
        members.set(key, text.slice(start, i).trim());
        key = null;
        start = 0;
      }
      if (char !== ",") depth--;
    }
  }
  return members;
}
