import { type ModelConfig, optionalCount, optionalNumber, requireCount } from "../../../../checkpoint/model-config.js";
import type { Family } from "../../families/family.js";
import type { LatentAttentionSpec } from "../decoder-spec.js";
import { booleanFact } from "../read-facts.js";
import { readRotary, rotaryParameters, rotaryType } from "../read-rotary.js";
import { unsupportedKey } from "../unsupported-key.js";

/** Of the norms of latents, which no configuration changes. */
const EPS = 1e-6;

/** @throws ModelError naming the key that is missing, or positions that are not computed */
export function readLatent(config: ModelConfig, family: Family, maxPositions: number): LatentAttentionSpec {
  const { keys, attention, latent } = family;
  if (latent === undefined) throw new TypeError(`${family.modelType} has no latent attention`);
  const count = (key: string, absent: number): number => optionalCount(config, key) ?? absent;
  const [plainDim, rotaryDim] = [
    count("qk_nope_head_dim", latent.plainDim),
    count("qk_rope_head_dim", latent.rotaryDim),
  ];
  const whole = optionalCount(config, "qk_head_dim");
  if (whole !== undefined && whole !== plainDim + rotaryDim) {
    throw unsupportedKey(
      "qk_head_dim",
      String(whole),
      `${plainDim + rotaryDim}: qk_nope_head_dim and qk_rope_head_dim`,
    );
  }
  const rotary = { keys: family.rotary ?? {}, kind: "full_attention", headDim: rotaryDim, maxPositions } as const;
  return {
    kind: "latent",
    heads: requireCount(config, keys.heads),
    queryRank: config["q_lora_rank"] === null ? null : count("q_lora_rank", latent.queryRank),
    rank: count("kv_lora_rank", latent.rank),
    plainDim,
    rotaryDim,
    valueDim: count("v_head_dim", latent.valueDim),
    bias: booleanFact(config, attention.qkvBias),
    norm: { kind: "rms", eps: EPS, gain: "w", bias: false },
    rotary: readRotary(config, rotary),
    scale: (plainDim + rotaryDim) ** -0.5 * stretched(config),
  };
}

// YaRN makes scores grow with the context, as the square of what its cosines and sines would grow by.
function stretched(config: ModelConfig): number {
  const { parameters } = rotaryParameters(config);
  const [factor, growth] = [optionalNumber(parameters, "factor"), optionalNumber(parameters, "mscale_all_dim")];
  if (rotaryType(parameters) === "default" || factor === undefined || !growth || factor <= 1) return 1;
  return (0.1 * growth * Math.log(factor) + 1) ** 2;
}
