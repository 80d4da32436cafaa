import { isJsonObject, type JsonObject, type JsonValue, quote } from "../../checkpoint/json/json.js";
import { FormatError } from "../../errors.js";
import { BITS, type CheckpointFormat } from "./layout.js";

/** How a GPTQ folder quantizes one module. */
export interface GptqScheme {
  readonly bits: number;
  /** Null for one group per output row. */
  readonly groupSize: number | null;
  readonly symmetric: boolean;
}

interface Override {
  readonly pattern: RegExp;
  /** Null for modules left alone. */
  readonly scheme: GptqScheme | null;
}

/** A parsed `quantize_config.json`. */
export interface GptqSchemes {
  readonly version: CheckpointFormat;
  readonly common: GptqScheme;
  readonly overrides: readonly Override[];
}

/** @throws FormatError for versions, widths and values that crossblock doesn't read */
export function parseSchemes(config: JsonObject, where: string): GptqSchemes {
  const version = config["checkpoint_format"] ?? "gptq";
  if (version !== "gptq" && version !== "gptq_v2") {
    refuse(`checkpoint_format ${quote(String(version))}, not gptq or gptq_v2`, where);
  }
  const common = parseScheme(config, { bits: 4, groupSize: 128, symmetric: true }, where);
  const dynamic = config["dynamic"];
  const overrides = isJsonObject(dynamic)
    ? Object.entries(dynamic).map(([key, value]) => parseOverride(key, value, common, `${where}, dynamic`))
    : [];
  return { version, common, overrides };
}

/** The scheme of a module: that of the first override whose pattern matches from the start of its name, else the common one. */
export function schemeFor(module: string, { common, overrides }: GptqSchemes): GptqScheme | null {
  const override = overrides.find(({ pattern }) => pattern.test(module));
  return override === undefined ? common : override.scheme;
}

function parseOverride(key: string, value: JsonValue, common: GptqScheme, where: string): Override {
  const source = key.replace(/^[+-]:/, "");
  let pattern: RegExp;
  try {
    pattern = new RegExp(`^(?:${source})`);
  } catch (cause) {
    throw new FormatError({
      what: `${quote(key)} is a Python pattern that JavaScript can't run`,
      where,
      next: "name the modules instead of the pattern",
      cause,
    });
  }
  if (key.startsWith("-:")) return { pattern, scheme: null };
  if (!isJsonObject(value)) return refuse(`${quote(key)} is no object`, where);
  return { pattern, scheme: parseScheme(value, common, where) };
}

function parseScheme(config: JsonObject, fallback: GptqScheme, where: string): GptqScheme {
  const { bits = fallback.bits, group_size: group = fallback.groupSize ?? -1, sym = fallback.symmetric } = config;
  if (typeof bits !== "number" || !BITS.includes(bits)) return refuse(`${bits} bits, not ${BITS.join(", ")}`, where);
  if (typeof group !== "number" || !Number.isInteger(group) || group === 0 || group < -1) {
    return refuse(`group_size ${group}`, where);
  }
  return { bits, groupSize: group === -1 ? null : group, symmetric: sym !== false };
}

function refuse(what: string, where: string): never {
  throw new FormatError({
    what,
    where,
    why: "crossblock reads gptq and gptq_v2 with 2, 3, 4 or 8 bits",
    next: "export the source model again in one of these",
  });
}
