import { isJsonObject, type JsonObject, type JsonValue, quote } from "../../checkpoint/json/json.js";
import { FormatError } from "../../errors.js";
import type { ActivationQuantization } from "../contract/export-source.js";

/** What one configuration group says of its Linears. */
export interface GroupScheme {
  readonly targets: readonly string[];
  readonly bits: number;
  readonly symmetric: boolean;
  /** Null for one group per output row. */
  readonly groupSize: number | null;
  readonly activations: ActivationQuantization | null;
}

const next = "crossblock reads integer weights per group or channel; export the source model again in such a scheme";

/** @throws FormatError when the configuration has no groups, or schemes that are not integer codes per group or channel */
export function parseSchemeGroups(config: JsonObject, where: string): readonly GroupScheme[] {
  const groups = config["config_groups"];
  if (!isJsonObject(groups) || Object.keys(groups).length === 0) {
    throw new FormatError({ what: "quantization_config has no config_groups", where, next });
  }
  return Object.entries(groups).map(([name, value]) => parseGroup(value, `${where}, config_groups.${name}`));
}

/** Whether weights of some group are floats, which are no codes with scales and zero points. */
export function hasFloatGroups({ config_groups: groups }: JsonObject): boolean {
  return isJsonObject(groups) && Object.values(groups).some(isFloatGroup);
}

export function isFloatGroup(group: JsonValue): boolean {
  return isJsonObject(group) && isJsonObject(group["weights"]) && group["weights"]["type"] === "float";
}

/**
 * The group of a module: exact names win over `re:` patterns, which match from the start of the name, and those over the
 * class `Linear`, as in the library.
 */
export function groupFor<G extends Pick<GroupScheme, "targets">>(module: string, groups: readonly G[]): G | undefined {
  const find = (matches: (target: string) => boolean): G | undefined =>
    groups.find((group) => group.targets.some(matches));
  return (
    find((target) => target === module) ??
    find((target) => target.startsWith("re:") && pattern(target).test(module)) ??
    find((target) => target === "Linear")
  );
}

function pattern(target: string): RegExp {
  try {
    return new RegExp(`^(?:${target.slice(3)})`);
  } catch (cause) {
    throw new FormatError({
      what: `the target ${quote(target)} is a Python pattern that JavaScript can't run`,
      where: "config.json, config_groups",
      next: "name the modules instead of the pattern",
      cause,
    });
  }
}

function parseGroup(value: JsonValue, where: string): GroupScheme {
  const fail = (what: string): never => {
    throw new FormatError({ what, where, next });
  };
  if (!isJsonObject(value) || !isJsonObject(value["weights"])) return fail("a group without weights");
  const { targets, weights } = value;
  if (!Array.isArray(targets) || !targets.every((target) => typeof target === "string")) {
    return fail("targets is no list of names");
  }
  const { num_bits: bits, type, symmetric, strategy, group_size: groupSize, dynamic } = weights as JsonObject;
  if ((type ?? "int") !== "int") return fail(`weights of type ${quote(String(type))}`);
  if (typeof bits !== "number" || !Number.isInteger(bits) || bits < 2 || bits > 8) return fail(`${bits}-bit weights`);
  if (dynamic === true) return fail("dynamic weights");
  const perChannel = strategy === "channel" || (strategy == null && groupSize === -1);
  const grouped = typeof groupSize === "number" && Number.isInteger(groupSize) && groupSize > 0;
  if (!perChannel && !((strategy === "group" || strategy == null) && grouped)) {
    return fail(`weights with strategy ${quote(String(strategy))} and group size ${groupSize}`);
  }
  return {
    targets,
    bits,
    symmetric: symmetric !== false,
    groupSize: perChannel ? null : (groupSize as number),
    activations: parseActivations(value["input_activations"], fail),
  };
}

function parseActivations(value: JsonValue | undefined, fail: (what: string) => never): ActivationQuantization | null {
  if (value === undefined || value === null) return null;
  if (!isJsonObject(value)) return fail("input_activations is no object");
  const { num_bits: bits, type, symmetric, strategy, dynamic } = value;
  const granularity = strategy === "token" || strategy === "tensor" ? strategy : null;
  if ((type ?? "int") !== "int" || (bits !== 4 && bits !== 8) || granularity === null) {
    return fail("input_activations that are not 4- or 8-bit integers per token or tensor");
  }
  const activations = { bits, granularity, dynamic: dynamic === true } as const;
  if (symmetric !== false) return activations;
  if (activations.dynamic || granularity !== "tensor")
    return fail("asymmetric input_activations that are not static per tensor");
  return { ...activations, zeroPoint: "integer" };
}
