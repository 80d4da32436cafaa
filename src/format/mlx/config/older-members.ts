import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json/json.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { families, hasTower, readSpec, textConfig } from "../../../network/index.js";
import { MLX_FAMILIES } from "../families.js";
import { fullEvery } from "../loadable.js";

/**
 * Members that mlx-lm reads and a `config.json` of transformers 5 has no more: that keeps rotary positions in `rope_parameters`, for
 * each kind of block where these differ, and mlx-lm takes 10,000 for a base that it does not find. Those that are there stay.
 */
export function olderMembers(config: ModelConfig): JsonObject {
  const { text_config: text } = config;
  if (!hasTower(config) || !isJsonObject(text)) return textMembers(config);
  // Wrappers take the size of the vocabulary from outside, and models without a word on ties for tied ones.
  const { vocab_size: vocabulary, tie_word_embeddings: tied } = textConfig(config);
  const outer = vocabulary === undefined || config["vocab_size"] !== undefined ? {} : { vocab_size: vocabulary };
  const ties = tied === undefined ? {} : { tie_word_embeddings: tied };
  return { ...outer, text_config: { ...text, ...ties, ...textMembers({ ...textConfig(config), ...text }) } };
}

function textMembers(config: ModelConfig): JsonObject {
  const { rope_parameters: parameters, n_positions: positions, num_local_experts: experts } = config;
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
  if (experts !== undefined) members["num_experts"] = experts;
  Object.assign(members, ASKED[String(config["model_type"])]?.(config));
  const absent = Object.entries(members).filter(([key]) => (config[key] ?? null) === null);
  return { ...Object.fromEntries(absent), ...kindMembers(config) };
}

// Which blocks see everything, where mlx-lm reads it from a number or from letters. These say what `layer_types` says.
function kindMembers(config: ModelConfig): JsonObject {
  const modelType = String(config["model_type"]);
  const kinds = MLX_FAMILIES[modelType]?.kinds;
  if (kinds !== "every" && kinds !== "letters") return {};
  const spec = readSpec(config);
  if (kinds === "letters") {
    const windows = spec.blocks.map(
      ({ attention }) => attention.kind === "softmax" && attention.slidingWindow !== null,
    );
    const letters = windows.map((windowed) => (windowed ? "L" : "G")).join("");
    return windows.includes(true) ? { sliding_window_pattern: letters } : {};
  }
  const every = fullEvery(spec);
  const key = spec.blocks.some(({ attention }) => attention.kind === "delta")
    ? "full_attention_interval"
    : "sliding_window_pattern";
  return every === null || config[key] === every ? {} : { [key]: every };
}

/** What mlx-lm's model of a family has no default for. */
const ASKED: Readonly<Record<string, (config: ModelConfig) => JsonObject>> = {
  exaone4: ({ hidden_size: hidden, num_attention_heads: heads }) =>
    typeof hidden === "number" && typeof heads === "number" ? { head_dim: hidden / heads } : {},
  minimax_m2: () => ({ shared_intermediate_size: 0 }),
  // Its positions are always YaRN's, which a factor of 1 leaves as they are.
  deepseek_v2: ({ rope_parameters: own, rope_scaling: older }) =>
    (older ?? null) === null && isJsonObject(own) && (own["rope_type"] ?? "default") === "default"
      ? { rope_scaling: { type: "yarn", factor: 1 } }
      : {},
  gpt_neox: ({ rope_parameters: own, rotary_emb_base: base, rotary_pct: share }) => {
    const { rope_theta: theta, partial_rotary_factor: partial } = isJsonObject(own) ? own : {};
    return { rotary_emb_base: base ?? theta ?? 10000, rotary_pct: share ?? partial ?? 0.25 };
  },
  gemma4_text: gemma4Members,
  apertus: ({ rope_parameters: own, rope_scaling: older }) => ({
    ...{ mlp_bias: false, attention_bias: false, post_norm: false, qk_norm: true, tie_word_embeddings: false },
    ...((own ?? older ?? null) === null && rotaryMembers(families.get("apertus")?.rotary?.absent ?? {})),
  }),
  lfm2: ({ hidden_size: width = null }) => ({
    ...{ block_dim: width, block_multiple_of: 256, block_ffn_dim_multiplier: 1, block_auto_adjust_ff_dim: true },
    ...{ conv_bias: false, conv_L_cache: 3, norm_eps: 1e-5 },
  }),
  lfm2_moe: () => ({ conv_bias: false, conv_L_cache: 3, norm_eps: 1e-5, use_expert_bias: true, num_dense_layers: 2 }),
  llama4_text: () => ({ rope_scaling: null }),
};

// transformers 5 keeps what differs in full blocks by their numbers.
function gemma4Members({ per_layer_config: own, head_dim: width }: ModelConfig): JsonObject {
  const [first] = isJsonObject(own) ? Object.values(own).filter(isJsonObject) : [];
  const { head_dim: full, num_key_value_heads: heads } = first ?? {};
  return {
    global_head_dim: full ?? width ?? null,
    ...(heads !== undefined && { num_global_key_value_heads: heads }),
  };
}

function rotaryMembers({ rope_theta: theta, partial_rotary_factor: partial, ...scaling }: JsonObject): JsonObject {
  const type = scaling["rope_type"] ?? "default";
  return {
    ...(theta !== undefined && { rope_theta: theta }),
    ...(partial !== undefined && { partial_rotary_factor: partial }),
    // Some of its models ask for the key even where there is nothing to scale, and some for the type under its older name.
    rope_scaling: type === "default" ? null : { type, ...scaling },
  };
}
