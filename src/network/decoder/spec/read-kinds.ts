import { type ModelConfig, optionalBoolean, optionalCount } from "../../../checkpoint/model-config.js";
import type { BlockKind, Family, RotaryKeys, SlidingWindowKeys } from "../families/family.js";
import { blockList, countFact, placeFact } from "./read-facts.js";
import { unsupportedKey } from "./unsupported-key.js";

/** What kind each block is of, and the window of those that have one. */
export interface BlockKinds {
  readonly kinds: readonly BlockKind[];
  /** In tokens; null where no block has one. */
  readonly window: number | null;
  /** The configuration speaks of a window, whether or not a block has it. */
  readonly windowSaid: boolean;
}

/**
 * Reads the kind of every block. A window that is switched off, or that begins after the last block, is none.
 *
 * @throws ModelError for a list of another length, a kind that the family does not have, or blocks with a window that is off
 */
export function readKinds(config: ModelConfig, family: Family, blocks: number): BlockKinds {
  const { slidingWindow } = family.attention;
  const window = slidingWindow === null ? null : readWindow(config, slidingWindow);
  const kinds = kindsOf(config, family, blocks, window).map((kind) =>
    kind === "chunked_attention" && config[family.attention.chunk?.key ?? ""] === null ? "full_attention" : kind,
  );
  const sliding = kinds.filter((kind) => kind === "sliding_attention").length;
  if (sliding > 0 && window === null) {
    throw unsupportedKey(
      family.kinds?.types ?? "layer_types",
      `sliding for ${sliding} of ${blocks} layers, and ${slidingWindow?.key ?? "sliding_window"} is off`,
      "or the window, not one",
    );
  }
  return { kinds, window: sliding === 0 ? null : window, windowSaid: window !== null };
}

function readWindow(config: ModelConfig, keys: SlidingWindowKeys): number | null {
  if (keys.enabledBy !== undefined && optionalBoolean(config, keys.enabledBy) !== true) return null;
  return config[keys.key] === null ? null : (optionalCount(config, keys.key) ?? keys.default);
}

function kindsOf(config: ModelConfig, family: Family, blocks: number, window: number | null): readonly BlockKind[] {
  const { kinds } = family;
  if (kinds === undefined)
    return Array<BlockKind>(blocks).fill(window === null ? "full_attention" : "sliding_attention");
  const { types, known, absent, lastIsFull = false } = kinds;
  const listed = listedKinds(config, types, blocks, known);
  const read = listed ?? ("rotated" in absent ? kindsByPositions : absentKinds)(config, family, blocks, window);
  return read.map((kind, i) => (lastIsFull && i === blocks - 1 ? "full_attention" : kind));
}

function listedKinds(
  config: ModelConfig,
  key: string,
  blocks: number,
  known: readonly BlockKind[],
): readonly BlockKind[] | null {
  const value = config[key];
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value) || value.length !== blocks) {
    throw unsupportedKey(key, `no list of ${blocks} entries`, "one entry for each of num_hidden_layers");
  }
  const other = value.find((type) => !known.some((kind) => kind === type));
  if (other !== undefined) throw unsupportedKey(key, JSON.stringify(other), known.join(" or "));
  return value as readonly BlockKind[];
}

function kindsByPositions(config: ModelConfig, family: Family, blocks: number): readonly BlockKind[] {
  const full = { kinds: Array<BlockKind>(blocks).fill("full_attention"), windowSaid: false };
  const kind = family.kinds?.absent.kind ?? "full_attention";
  return rotatedBlocks(config, family.rotary ?? {}, full).map((rotated) => (rotated ? kind : "full_attention"));
}

function absentKinds(config: ModelConfig, family: Family, blocks: number, window: number | null): readonly BlockKind[] {
  const { absent } = family.kinds as NonNullable<Family["kinds"]>;
  const { kind } = absent;
  const off = kind === "sliding_attention" && window === null;
  const begin = "from" in absent ? placeFact(config, absent.from) : 0;
  if ("fullListed" in absent) {
    const full = blockList(config, absent.fullListed, blocks);
    return Array.from({ length: blocks }, (_, i) => (full?.has(i) === false ? kind : "full_attention"));
  }
  if ("fullFirstOf" in absent) {
    const { fullFirstOf: period } = absent;
    return Array.from({ length: blocks }, (_, i) => (off || i % period === 0 ? "full_attention" : kind));
  }
  const every = "allBut" in absent ? countFact(config, absent.allBut) : 0;
  return Array.from({ length: blocks }, (_, i) =>
    off || i < begin || (every > 0 && (i + 1) % every === 0) ? "full_attention" : kind,
  );
}

/** Which blocks have rotary positions. @throws ModelError for a list of another length or with other entries */
export function rotatedBlocks(
  config: ModelConfig,
  { where }: RotaryKeys,
  { kinds, windowSaid }: Pick<BlockKinds, "kinds" | "windowSaid">,
): readonly boolean[] {
  if (where === undefined) return kinds.map(() => true);
  if (where.kind === "sliding") {
    return kinds.map((kind) => kind === "sliding_attention" || (where.unlessNone && !windowSaid));
  }
  const listed = config[where.list];
  if (listed === undefined || listed === null) {
    const every = countFact(config, where.allBut);
    return kinds.map((_, i) => (i + 1) % every !== 0);
  }
  if (!Array.isArray(listed) || listed.length < kinds.length || listed.some((each) => each !== 0 && each !== 1)) {
    throw unsupportedKey(where.list, `no list of ${kinds.length} zeros and ones`, "that has one for each layer");
  }
  return kinds.map((_, i) => listed[i] === 1);
}
