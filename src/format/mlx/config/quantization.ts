import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json/json.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { FormatError } from "../../../errors.js";
import type { ExportSource, QuantizedLayout } from "../../contract/export-source.js";
import { BITS, blockSize, GROUP_SIZES, MODE } from "../layout.js";

/** Bits and groups of one module in a file. */
export interface MlxScheme {
  readonly bits: number;
  readonly groupSize: number;
}

/** A parsed `quantization` of `config.json`. */
export interface MlxSchemes {
  readonly common: MlxScheme;
  /** Modules that differ; null for those left in floating point. */
  readonly modules: ReadonlyMap<string, MlxScheme | null>;
}

/**
 * `quantization` in `config.json`, by mlx-lm's names: the most frequent scheme, an entry for each module that has another one,
 * and `false` for each that has none.
 */
export function quantizationMember(source: ExportSource): JsonObject {
  const schemes = new Map([...source.linears].map(([name, layout]) => [name, memberOf(layout)]));
  const common = mostFrequent([...schemes.values()]);
  const modules: Record<string, JsonValue> = {};
  for (const [name, scheme] of schemes) if (keyOf(scheme) !== keyOf(common)) modules[name] = scheme;
  for (const { name, shape } of source.plain.values()) {
    if (shape.length >= 2 && name.endsWith(".weight")) modules[name.slice(0, -".weight".length)] = false;
  }
  return { ...common, mode: MODE, ...modules };
}

function memberOf(layout: QuantizedLayout): JsonObject {
  return { group_size: blockSize(layout) ?? layout.groupSize, bits: layout.bits };
}

function keyOf(scheme: JsonObject): string {
  return JSON.stringify(scheme);
}

function mostFrequent(schemes: readonly JsonObject[]): JsonObject {
  const counts = new Map<string, number>();
  for (const scheme of schemes) counts.set(keyOf(scheme), (counts.get(keyOf(scheme)) ?? 0) + 1);
  const count = (scheme: JsonObject): number => counts.get(keyOf(scheme)) ?? 0;
  return schemes.reduce((best, scheme) => (count(scheme) > count(best) ? scheme : best));
}

/** True when `config.json` says that the weights are in this format. */
export function isMlx(config: ModelConfig): boolean {
  const { quantization } = config;
  return isJsonObject(quantization) && typeof quantization["bits"] === "number" && "group_size" in quantization;
}

/** @throws FormatError for modes, widths and groups that crossblock doesn't read */
export function parseSchemes(quantization: JsonObject, where: string): MlxSchemes {
  const { mode = MODE } = quantization;
  if (mode !== MODE) refuse(`the mode ${JSON.stringify(mode)}`, where);
  const common = parseScheme(quantization, where);
  const modules = new Map<string, MlxScheme | null>();
  for (const [name, value] of Object.entries(quantization)) {
    if (value === false) modules.set(name, null);
    else if (isJsonObject(value)) modules.set(name, parseScheme(value, `${where}, ${name}`, common));
  }
  return { common, modules };
}

/** The scheme of a module that has codes. */
export function schemeOf(module: string, { common, modules }: MlxSchemes): MlxScheme | null {
  const own = modules.get(module);
  return own === undefined ? common : own;
}

function parseScheme(value: JsonObject, where: string, fallback?: MlxScheme): MlxScheme {
  const { bits = fallback?.bits ?? null, group_size: groupSize = fallback?.groupSize ?? null, mode = MODE } = value;
  if (mode !== MODE) refuse(`the mode ${JSON.stringify(mode)}`, where);
  if (typeof bits !== "number" || !BITS.includes(bits)) return refuse(`${JSON.stringify(bits)} bits`, where);
  if (typeof groupSize !== "number" || !GROUP_SIZES.includes(groupSize)) {
    return refuse(`groups of ${JSON.stringify(groupSize)} columns`, where);
  }
  return { bits, groupSize };
}

function refuse(what: string, where: string): never {
  throw new FormatError({
    what,
    where,
    why: "crossblock reads MLX's affine mode with 2, 3, 4, 5, 6 or 8 bits in groups of 32, 64 or 128",
    next: "convert the source model again in one of these",
  });
}
