import { type ModelConfig, optionalBoolean, optionalCount } from "../../../checkpoint/model-config.js";
import type { SlidingWindowKeys } from "../families/family.js";
import { unsupportedKey } from "./unsupported-key.js";

/**
 * The window of all blocks, in tokens; null where they see everything before them. A window that is switched off, or that
 * begins after the last block, is none.
 *
 * @throws ModelError where some blocks have a window and others have none
 */
export function readSlidingWindow(config: ModelConfig, keys: SlidingWindowKeys | null, blocks: number): number | null {
  if (keys === null) return null;
  const { key, perBlock } = keys;
  const width = (): number | null => (config[key] === null ? null : (optionalCount(config, key) ?? keys.default));
  if (perBlock === undefined) return width();
  const { enabledBy, first, types } = perBlock;
  const window = optionalBoolean(config, enabledBy) === true ? width() : null;
  const listed = layerTypes(config, types, blocks);
  const begin = wholeNumber(config, first.key) ?? first.default;
  const sliding =
    listed?.filter((type) => type === "sliding_attention").length ??
    (window === null ? 0 : Math.max(0, blocks - begin));
  if (sliding === 0) return null;
  if (window === null) {
    throw unsupportedKey(
      types,
      `sliding for ${sliding} of ${blocks} layers, and ${key} is off`,
      "or the window, not one",
    );
  }
  if (sliding === blocks) return window;
  const where = listed === null ? first.key : types;
  throw unsupportedKey(where, `a window for ${sliding} of ${blocks} layers`, "that gives all layers a window or none");
}

function layerTypes(config: ModelConfig, key: string, blocks: number): readonly string[] | null {
  const value = config[key];
  if (value === undefined || value === null) return null;
  const known = ["full_attention", "sliding_attention"];
  if (!Array.isArray(value) || value.length !== blocks) {
    throw unsupportedKey(key, `no list of ${blocks} entries`, "one entry for each of num_hidden_layers");
  }
  const other = value.find((type) => !known.includes(type));
  if (other !== undefined) throw unsupportedKey(key, JSON.stringify(other), known.join(" or "));
  return value as readonly string[];
}

// Zero is a place to begin, and no count.
function wholeNumber(config: ModelConfig, key: string): number | undefined {
  return config[key] === 0 ? 0 : optionalCount(config, key);
}
