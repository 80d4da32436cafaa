import type { DecoderSpec } from "../../../../network/index.js";
import { fileAttentions, shortConvolution } from "../attentions.js";
import { ggufFamily } from "../families.js";
import { graphFacts } from "../graph-facts.js";
import { windowPattern } from "../window-pattern.js";
import type { Fact, NetworkKeys } from "./network-keys.js";

/** What a file says of blocks that are no plain attention, and of which blocks are what; read with llama.cpp's defaults. */
export function blockFacts(keys: NetworkKeys, spec: DecoderSpec): Fact[] {
  const convolution = shortConvolution(spec);
  const kernel: Fact[] =
    convolution === null
      ? []
      : [["the width of the convolution", keys.number("shortconv.l_cache"), convolution.kernel]];
  return [
    ...latentFacts(keys, spec),
    ...kernel,
    ...deltaFacts(keys, spec),
    ...kindFacts(keys, spec),
    ...routingFacts(keys, spec),
  ];
}

function latentFacts(keys: NetworkKeys, spec: DecoderSpec): Fact[] {
  const { latent } = graphFacts(spec, ggufFamily(spec.family)).main;
  if (latent === null) return [];
  const growth = keys.number("rope.scaling.yarn_log_multiplier", 0) / 0.1;
  const grown = (1 + 0.1 * growth * Math.log(keys.number("rope.scaling.factor", 1))) ** 2;
  const width = keys.number("attention.key_length");
  return [
    ["the width of the latent of queries", keys.number("attention.q_lora_rank"), latent.queryRank ?? 0],
    ["the width of the latent of keys and values", keys.number("attention.kv_lora_rank"), latent.rank],
    ["the factor of the scores", grown / Math.sqrt(width), latent.scale],
  ];
}

function deltaFacts(keys: NetworkKeys, spec: DecoderSpec): Fact[] {
  const { delta } = graphFacts(spec, ggufFamily(spec.family));
  if (delta === null) return [];
  const listed = keys.list("attention.recurrent_layers");
  const every = keys.number("full_attention_interval", 4);
  return [
    ["the width of the convolution", keys.number("ssm.conv_kernel"), delta.kernel],
    ["the width of a key of delta nets", keys.number("ssm.state_size"), delta.keyDim],
    ["the number of key heads of delta nets", keys.number("ssm.group_count"), delta.keyHeads],
    ["the number of value heads of delta nets", keys.number("ssm.time_step_rank"), delta.valueHeads],
    ["the width of delta nets", keys.number("ssm.inner_size"), delta.valueHeads * delta.valueDim],
    ...spec.blocks.map(
      ({ attention }, block): Fact => [
        `the delta nets of block ${block}`,
        listed === null ? Number((block + 1) % every !== 0) : (listed[block] ?? Number.NaN),
        Number(attention.kind === "delta"),
      ],
    ),
  ];
}

function kindFacts(keys: NetworkKeys, spec: DecoderSpec): Fact[] {
  const family = ggufFamily(spec.family);
  const pattern = windowPattern(spec, family);
  if (pattern !== null) {
    const every = keys.number("attention.sliding_window_pattern", family.windows);
    return [["the number of blocks from one that sees everything to the next", every, pattern.fullEvery]];
  }
  if (family.perKind !== true) return [];
  const windows = keys.list("attention.sliding_window_pattern");
  return fileAttentions(spec).flatMap(({ block, attention }): Fact[] => {
    const windowed = attention.slidingWindow !== null;
    const kind = windowed ? "_swa" : "";
    return [
      [`the window of block ${block}`, windows?.[block] ?? Number.NaN, Number(windowed)],
      [`the width of a head of block ${block}`, keys.number(`attention.key_length${kind}`), attention.headDim],
      [
        `the width of the rotation of block ${block}`,
        keys.number(`rope.dimension_count${kind}`),
        attention.rotary?.width ?? 0,
      ],
    ];
  });
}

function routingFacts(keys: NetworkKeys, spec: DecoderSpec): Fact[] {
  const family = ggufFamily(spec.family);
  const { experts, leadingDense, expertsEvery } = graphFacts(spec, family);
  if (experts === null) return [];
  if (family.experts?.interleaved === true) {
    return [["blocks from experts to experts", keys.number("interleave_moe_layer_step"), expertsEvery]];
  }
  if (family.experts?.weights !== "keyed") return [];
  const { groups, scaling, normalised } = experts.router;
  const chooses = groups !== null && groups.kept < groups.count;
  return [
    ["the number of dense blocks", keys.number("leading_dense_block_count", 0), leadingDense],
    ["the factor of experts", keys.number("expert_weights_scale", 1), scaling],
    ["the sum of weights", keys.number("expert_weights_norm", 0), Number(normalised !== null)],
    ["the number of groups of experts", keys.number("expert_group_count", 0), chooses ? groups.count : 0],
    ["the number of groups of a token", keys.number("expert_group_used_count", 0), chooses ? groups.kept : 0],
  ];
}
