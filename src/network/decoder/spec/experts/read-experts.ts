import { listedParts, type ModelConfig, optionalBoolean, optionalCount } from "../../../../checkpoint/model-config.js";
import { ModelError } from "../../../../errors.js";
import type { BlocksWithExperts, ExpertsKeys } from "../../families/experts/experts-keys.js";
import type { Fact } from "../../families/family.js";
import type { Activation, DenseMlpSpec, MlpSpec } from "../block-spec.js";
import { blockList, booleanFact, countFact, placeFact, positiveFact } from "../read-facts.js";
import { unsupportedKey } from "../unsupported-key.js";
import type { ExpertsSpec, RouterSpec, SharedExpertSpec } from "./experts-spec.js";

/** What experts are read with. */
export interface ExpertsOf {
  readonly blocks: number;
  /** Of the norms. */
  readonly eps: number;
  readonly activation: Activation;
  readonly dense: () => DenseMlpSpec;
}

/**
 * The MLP of every block of a family with experts: these, or the dense one; null where they are switched off.
 *
 * @throws ModelError naming the key that is missing, or numbers that do not fit
 */
export function readExperts(config: ModelConfig, keys: ExpertsKeys, of: ExpertsOf): readonly MlpSpec[] | null {
  if (keys.enabledBy !== undefined && optionalBoolean(config, keys.enabledBy) !== true) return null;
  const has = blocksWithExperts(config, keys.blocks, of.blocks);
  const dense = has.includes(false) || keys.besideDense === true ? of.dense() : null;
  const experts = has.includes(true) ? expertsOf(config, keys, of, keys.besideDense === true ? dense : null) : null;
  return has.map((experted) => (experted ? experts : dense) as MlpSpec);
}

function blocksWithExperts(config: ModelConfig, which: BlocksWithExperts, blocks: number): readonly boolean[] {
  const all = Array.from({ length: blocks }, (_, block) => block);
  if (which === "all") return all.map(() => true);
  if ("from" in which) {
    const types = "types" in which ? typesOf(config, which.types, blocks) : null;
    if (types !== null) return types.map((type) => type === "sparse");
    const first = placeFact(config, which.from);
    return all.map((block) => block >= first);
  }
  const lastOf = countFact(config, which.lastOf);
  const last = (block: number): boolean => (block + 1) % lastOf === 0;
  if ("listed" in which) {
    const listed = blockList(config, which.listed, blocks);
    return all.map((block) => listed?.has(block) ?? last(block));
  }
  if ("between" in which) {
    const [begin, end] = [placeFact(config, which.between.first), placeFact(config, which.between.last, blocks)];
    return all.map((block) => last(block) && block >= begin && block <= end);
  }
  const dense = which.except === undefined ? null : blockList(config, which.except, blocks);
  return all.map((block) => last(block) && dense?.has(block) !== true);
}

function typesOf(config: ModelConfig, key: string, blocks: number): readonly string[] | null {
  const value = config[key];
  if (value === undefined || value === null) return null;
  const isType = (entry: unknown): entry is string => entry === "sparse" || entry === "dense";
  if (Array.isArray(value) && value.length === blocks && value.every(isType)) return value;
  throw unsupportedKey(key, JSON.stringify(value), `a list of ${blocks} entries that are sparse or dense`);
}

function expertsOf(
  config: ModelConfig,
  keys: ExpertsKeys,
  { activation, eps }: ExpertsOf,
  beside: DenseMlpSpec | null,
): ExpertsSpec {
  const count = readCount(config, keys.count);
  const perToken = optionalCount(config, keys.perToken.key) ?? keys.perToken.default;
  const width = optionalCount(config, keys.width.key) ?? keys.width.default;
  if (perToken > count) throw misfit(`${perToken} experts a token, of ${count}`, [keys.perToken.key, ...keys.count]);
  const { shared, clamped } = keys;
  if (activation === "xielu") throw misfit("experts with the activation xIELU", ["hidden_act"]);
  return {
    kind: "experts",
    // Experts that clamp have a product of their own.
    activation: clamped === undefined ? activation : "silu",
    clamped:
      clamped === undefined
        ? null
        : { limit: positiveFact(config, clamped.limit), alpha: positiveFact(config, clamped.alpha) },
    width,
    count,
    perToken,
    bias: keys.bias === true,
    router: { ...readRouter(config, keys, count, perToken), eps },
    weighsInput: keys.weighsInput === true,
    shared: shared === undefined ? null : readShared(config, shared),
    beside,
  };
}

// A zero or a null for how many there are, or for how wide they are together, means none.
function readShared(
  config: ModelConfig,
  { width, times = 1, gate, bias = false }: NonNullable<ExpertsKeys["shared"]>,
): SharedExpertSpec | null {
  const none = (fact: Fact<number>): boolean =>
    typeof fact === "object" && (config[fact.key] === 0 || config[fact.key] === null);
  if (none(times) || (times === 1 && none(width))) return null;
  const each = optionalCount(config, width.key) ?? width.default;
  if (each === 0) return null;
  return {
    width: each * countFact(config, times),
    bias: booleanFact(config, bias),
    gate,
  };
}

function readCount(config: ModelConfig, keys: readonly string[]): number {
  const counts = keys.flatMap((key) => optionalCount(config, key) ?? []);
  const [count] = counts;
  if (count === undefined) throw misfit("no number of experts", keys);
  if (counts.some((other) => other !== count)) throw misfit(`${counts.join(" and ")} experts`, keys);
  const named = keys.find((key) => optionalCount(config, key) !== undefined);
  return listedParts(named ?? keys.join(", "), count);
}

function readRouter(
  config: ModelConfig,
  { router }: ExpertsKeys,
  count: number,
  perToken: number,
): Omit<RouterSpec, "eps"> {
  const { scores, correction = false, bias = false, normalised, epsilon = 0, scaling = 1 } = router;
  return {
    scores,
    correction: correction === "row" || booleanFact(config, correction),
    ...(router.tolerance !== undefined && { tolerance: positiveFact(config, router.tolerance) }),
    ...(correction === "row" && { correctionRow: true as const }),
    bias,
    groups: readGroups(config, router.groups, count, perToken),
    normalised: booleanFact(config, normalised) ? { epsilon } : null,
    scaling: positiveFact(config, scaling),
    readsStream: router.readsStream === true,
    expertScale: router.expertScale === true,
  };
}

function readGroups(
  config: ModelConfig,
  groups: ExpertsKeys["router"]["groups"],
  experts: number,
  perToken: number,
): RouterSpec["groups"] {
  if (groups === undefined) return null;
  const { where, by } = groups;
  if (where !== undefined && config[where.key] !== where.value) return null;
  const [count, kept] = [countFact(config, groups.count), countFact(config, groups.kept)];
  if (count === 1) return null;
  const size = experts / count;
  if (!Number.isInteger(size) || kept > count || kept * size < perToken) {
    throw misfit(`${kept} of ${count} groups for ${perToken} of ${experts} experts`, [
      ...[groups.count, groups.kept].flatMap((fact) => (typeof fact === "number" ? [] : [fact.key])),
    ]);
  }
  return { count, kept, by };
}

function misfit(what: string, keys: readonly string[]): ModelError {
  return new ModelError({ where: "config.json", what, next: `check ${keys.join(", ")}` });
}
