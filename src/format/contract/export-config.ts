import { isDeepStrictEqual } from "node:util";
import { endOfString } from "../../checkpoint/json/end-of-string.js";
import { type JsonObject, type JsonValue, parseJsonObject } from "../../checkpoint/json/json.js";
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
  const parsed = parseJsonObject(original, "config.json");
  const spelled = topLevelMembers(original);
  const members = Object.entries(source.config).map(([key, value]) => {
    const text = isDeepStrictEqual(parsed[key], value) ? spelled.get(key) : undefined;
    return [key, text ?? indented(value)] as const;
  });
  const all = [
    ...members.filter(([key]) => key !== "quantization_config" && !Object.hasOwn(own, key)),
    ...Object.entries(own).map(([key, value]) => [key, indented(value)] as const),
  ];
  return `{\n${all.map(([key, value]) => `  ${JSON.stringify(key)}: ${value}`).join(",\n")}\n}\n`;
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
