import { packageVersion } from "../../package-version.js";
import type { ExportSource } from "../contract/export-source.js";
import { schemeLabel } from "../model-label.js";
import type { GgufValue } from "./file/layout.js";
import { GGUF_FLOAT_CHOICES, type GgufFloatChoice, type GgufPlanOptions } from "./plan.js";

/** The version of crossblock that wrote a file. This key and those below are crossblock's own, and readers skip them. */
export const VERSION = "crossblock.version";
/** They let `verify` judge a file that travels alone. */
const SCHEME = "crossblock.scheme";
const REENCODE = "crossblock.reencode";
const EMBEDDING = "crossblock.embedding";
const OUTPUT = "crossblock.output";

/** Who wrote a file, from what, and with which options, as far as they matter for comparing it with the result. */
export function provenance(source: ExportSource, options: GgufPlanOptions): ReadonlyMap<string, GgufValue> {
  const { reencode = false, embedding, output } = options;
  const entries = new Map<string, GgufValue>([[VERSION, { type: "string", value: packageVersion() }]]);
  const scheme = schemeLabel(source);
  if (scheme !== null) entries.set(SCHEME, { type: "string", value: scheme });
  if (reencode) entries.set(REENCODE, { type: "bool", value: true });
  if (embedding !== undefined) entries.set(EMBEDDING, { type: "string", value: embedding });
  if (output !== undefined) entries.set(OUTPUT, { type: "string", value: output });
  return entries;
}

/** The options that a file was written with; the defaults where it does not tell. */
export function recordedOptions(metadata: ReadonlyMap<string, GgufValue>): GgufPlanOptions {
  const [embedding, output] = [floatChoice(metadata.get(EMBEDDING)), floatChoice(metadata.get(OUTPUT))];
  return {
    reencode: textOf(metadata.get(REENCODE)) === "true",
    ...(embedding !== undefined && { embedding }),
    ...(output !== undefined && { output }),
  };
}

/** The scheme that a file was made from; null where it does not tell. */
export function recordedScheme(metadata: ReadonlyMap<string, GgufValue>): string | null {
  return textOf(metadata.get(SCHEME));
}

function floatChoice(value: GgufValue | undefined): GgufFloatChoice | undefined {
  const text = textOf(value);
  return GGUF_FLOAT_CHOICES.find((choice) => choice === text);
}

function textOf(value: GgufValue | undefined): string | null {
  return value === undefined || value.type === "array" ? null : String(value.value);
}
