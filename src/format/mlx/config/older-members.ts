import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json/json.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";

/**
 * Members that mlx-lm reads and a `config.json` of transformers 5 has no more: that keeps rotary positions in `rope_parameters`, for
 * each kind of block where these differ, and mlx-lm takes 10,000 for a base that it does not find. Those that are there stay.
 */
export function olderMembers(config: ModelConfig): JsonObject {
  const { rope_parameters: parameters, n_positions: positions } = config;
  const members: Record<string, JsonValue> = {};
  if (isJsonObject(parameters)) {
    const { full_attention: full, sliding_attention: sliding } = parameters;
    const own = isJsonObject(full) ? full : parameters;
    Object.assign(members, rotaryMembers(own));
    if (isJsonObject(sliding) && sliding["rope_theta"] !== undefined) {
      members["rope_local_base_freq"] = sliding["rope_theta"];
    }
  }
  // GPT-2's older name.
  if (positions !== undefined) members["n_ctx"] = positions;
  return Object.fromEntries(Object.entries(members).filter(([key]) => (config[key] ?? null) === null));
}

function rotaryMembers({ rope_theta: theta, partial_rotary_factor: partial, ...scaling }: JsonObject): JsonObject {
  const type = scaling["rope_type"] ?? "default";
  return {
    ...(theta !== undefined && { rope_theta: theta }),
    ...(partial !== undefined && { partial_rotary_factor: partial }),
    ...(type !== "default" && { rope_scaling: scaling }),
  };
}
