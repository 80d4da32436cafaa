import { isJsonObject, type JsonObject, type JsonValue } from "../../checkpoint/json/json.js";
import { FormatError } from "../../errors.js";
import { packageVersion } from "../../package-version.js";
import type { ExportSource } from "../contract/export-source.js";
import { leftOutModules } from "../source/left-out-modules.js";
import { unquantizedLinears } from "../source/unquantized-linears.js";
import { BITS, QUANT_METHOD, VERSION } from "./layout.js";

/** How an AWQ folder quantizes its Linears. */
export interface AwqScheme {
  /** Null for one group per output row. */
  readonly groupSize: number | null;
  /** Whether all zero points of a module are 8. */
  readonly symmetric: (module: string) => boolean;
}

/**
 * `quantization_config` of `config.json`. Zero points are always stored, because readers with a fixed one are few; `sym` says
 * whether they are all 8, and where only some
 * modules' are, these are named in a key of our own.
 */
export function quantizationConfig(source: ExportSource): JsonObject {
  const layouts = [...source.linears.values()];
  const [first] = layouts;
  const symmetric = [...source.linears].flatMap(([name, layout]) => (layout.symmetric ? [name] : []));
  return {
    quant_method: QUANT_METHOD,
    version: VERSION,
    bits: BITS,
    group_size: first === undefined || first.perChannel ? -1 : first.groupSize,
    zero_point: true,
    sym: symmetric.length === layouts.length,
    modules_to_not_convert: [...unquantizedLinears(source), ...leftOutModules(source)],
    meta: { quantizer: [`crossblock:${packageVersion()}`] },
    ...(symmetric.length > 0 && symmetric.length < layouts.length && { crossblock: { symmetric } }),
  };
}

/** @throws FormatError for versions, widths and groups that crossblock doesn't read */
export function parseScheme(config: JsonValue | undefined, where: string): AwqScheme {
  if (!isJsonObject(config)) return refuse("no quantization_config", where);
  const { version = VERSION, bits = config["w_bit"] ?? BITS, zero_point: zeros = true, sym } = config;
  const groupSize = config["group_size"] ?? config["q_group_size"] ?? 128;
  if (String(version).toLowerCase() !== VERSION) return refuse(`version ${JSON.stringify(version)}`, where);
  if (bits !== BITS) return refuse(`${JSON.stringify(bits)} bits`, where);
  if (typeof groupSize !== "number" || !Number.isInteger(groupSize) || groupSize === 0 || groupSize < -1) {
    return refuse(`group_size ${JSON.stringify(groupSize)}`, where);
  }
  const all = sym === true || zeros === false;
  const own = isJsonObject(config["crossblock"]) ? config["crossblock"]["symmetric"] : [];
  const named: ReadonlySet<JsonValue> = new Set(Array.isArray(own) ? own : []);
  return { groupSize: groupSize === -1 ? null : groupSize, symmetric: (module) => all || named.has(module) };
}

function refuse(what: string, where: string): never {
  throw new FormatError({
    what,
    where,
    why: "crossblock reads AWQ's version gemm with 4 bits",
    next: "export the source model again in that version",
  });
}
