import {
  type ModelConfig,
  optionalBoolean,
  optionalCount,
  optionalNumber,
  requirePositive,
} from "../../../checkpoint/model-config.js";
import type { Fact, Family } from "../families/family.js";
import { unsupportedKey } from "./unsupported-key.js";

/** What an absent key means its family says; a null is no, as in Python. */
export function booleanFact(config: ModelConfig, fact: Fact<boolean>): boolean {
  if (typeof fact === "boolean") return fact;
  return config[fact.key] === null ? false : (optionalBoolean(config, fact.key) ?? fact.default);
}

/** @throws ModelError naming a key whose number is not above zero */
export function positiveFact(config: ModelConfig, fact: Fact<number>): number {
  if (typeof fact === "number") return fact;
  return optionalNumber(config, fact.key) === undefined ? fact.default : requirePositive(config, fact.key);
}

export function countFact(config: ModelConfig, fact: Fact<number>): number {
  return typeof fact === "number" ? fact : (optionalCount(config, fact.key) ?? fact.default);
}

/** A cap, which a null in the configuration takes away. */
export function capFact(
  config: ModelConfig,
  fact: { readonly key: string; readonly default: number | null } | undefined,
): number | null {
  if (fact === undefined || config[fact.key] === null) return null;
  return config[fact.key] === undefined ? fact.default : requirePositive(config, fact.key);
}

/** A block, counted from 0, which is a place to begin and no count; of so many `blocks`, where given, -1 is the last. */
export function placeFact(config: ModelConfig, fact: Fact<number>, blocks?: number): number {
  if (typeof fact === "number") return fact === -1 && blocks !== undefined ? blocks - 1 : fact;
  const { [fact.key]: value } = config;
  if (value === -1 && blocks !== undefined) return blocks - 1;
  return value === 0 ? 0 : (optionalCount(config, fact.key) ?? placeFact(config, fact.default, blocks));
}

/** Blocks that a list names; null without one. @throws ModelError for what is no list of blocks */
export function blockList(config: ModelConfig, key: string, blocks: number): ReadonlySet<number> | null {
  const value = config[key];
  if (value === undefined || value === null) return null;
  const isBlock = (entry: unknown): entry is number =>
    typeof entry === "number" && Number.isInteger(entry) && entry >= 0 && entry < blocks;
  if (!Array.isArray(value) || !value.every(isBlock)) {
    throw unsupportedKey(key, JSON.stringify(value), `a list of blocks from 0 to ${blocks - 1}`);
  }
  return new Set(value);
}

/** @throws ModelError naming a key whose value makes a variant that the decoder does not compute */
export function refuseVariants(config: ModelConfig, family: Family): void {
  for (const [key, required] of Object.entries(family.requires ?? {})) {
    const { oneOf, absent } = typeof required === "object" ? required : { oneOf: [required], absent: undefined };
    // Nothing is no where a switch is asked for.
    const given = config[key] === null && oneOf.some((each) => typeof each === "boolean") ? false : config[key];
    const value = given === undefined ? absent : given;
    if (value === undefined || value === null || oneOf.some((each) => each === value)) continue;
    const shown = config[key] === undefined ? `absent, which means ${JSON.stringify(value)},` : JSON.stringify(value);
    throw unsupportedKey(key, shown, oneOf.join(" or "));
  }
  for (const [a, b] of family.equal ?? []) {
    const value = optionalNumber(config, a);
    if (value !== undefined && value !== optionalNumber(config, b)) {
      throw unsupportedKey(a, String(value), `the value of ${b}`);
    }
  }
}
