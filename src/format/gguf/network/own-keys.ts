import type { DecoderSpec, DeltaNetSpec, ExpertsSpec } from "../../../network/index.js";
import type { GgufValue } from "../file/layout.js";
import { type FileAttention, fileAttentions, shortConvolution } from "./attentions.js";
import type { GgufFamily } from "./families.js";
import type { GraphFacts } from "./graph-facts.js";
import { windowPattern } from "./window-pattern.js";

type Key = readonly [key: string, value: GgufValue];

const u32 = (value: number): GgufValue => ({ type: "u32", value });
const flags = (values: readonly boolean[]): GgufValue => ({ type: "array", element: "bool", values });

/** Keys that single architectures have, below the architecture's name. */
export function ownKeys(spec: DecoderSpec, family: GgufFamily, facts: GraphFacts): readonly Key[] {
  const { experts, main, delta } = facts;
  const convolution = shortConvolution(spec);
  return [
    ...(family.perKind === true ? [] : windowKeys(spec, family)),
    ...(family.parallelKey === true
      ? [["use_parallel_residual", { type: "bool", value: spec.blocks[0]?.arrangement === "parallel" }] as const]
      : []),
    ...(experts !== null && family.experts?.weights === "keyed" ? routingKeys(experts, facts.leadingDense) : []),
    ...(family.experts?.interleaved === true
      ? ([["interleave_moe_layer_step", u32(facts.expertsEvery)]] as const)
      : []),
    ...latentKeys(main),
    ...(delta === null ? [] : deltaKeys(spec, delta)),
    ...(convolution === null ? [] : ([["shortconv.l_cache", u32(convolution.kernel)]] as const)),
    ...(family.perKind === true ? kindKeys(spec, facts) : []),
    ...(family.sections === true ? sectionKeys(main) : []),
  ];
}

function windowKeys(spec: DecoderSpec, family: GgufFamily): Key[] {
  const pattern = windowPattern(spec, family);
  if (pattern === null) return [];
  return [
    ["attention.sliding_window", u32(pattern.window)],
    ...(pattern.fullEvery === family.windows
      ? []
      : ([["attention.sliding_window_pattern", u32(pattern.fullEvery)]] as const)),
  ];
}

/** How experts are chosen, in architectures where the file says it. */
function routingKeys({ router, shared, width }: ExpertsSpec, leadingDense: number): Key[] {
  const { groups } = router;
  return [
    ["leading_dense_block_count", u32(leadingDense)],
    ["expert_shared_count", u32(shared === null ? 0 : Math.round(shared.width / width))],
    ["expert_gating_func", u32(router.scores === "sigmoid" ? SIGMOID : SOFTMAX)],
    ["expert_weights_norm", { type: "bool", value: router.normalised !== null }],
    ["expert_weights_scale", { type: "f32", value: router.scaling }],
    ...(groups === null || groups.kept >= groups.count
      ? []
      : ([
          ["expert_group_count", u32(groups.count)],
          ["expert_group_used_count", u32(groups.kept)],
        ] as const)),
  ];
}

/** `llama_expert_gating_func_type`. */
const [SOFTMAX, SIGMOID] = [1, 2];

// Without the keys of the absorbed form llama.cpp unfolds keys and values, from the one matrix that the checkpoint has.
function latentKeys({ latent }: FileAttention): Key[] {
  if (latent === null) return [];
  return [
    ["attention.q_lora_rank", u32(latent.queryRank ?? 0)],
    ["attention.kv_lora_rank", u32(latent.rank)],
  ];
}

function deltaKeys({ blocks }: DecoderSpec, { kernel, keyHeads, valueHeads, keyDim, valueDim }: DeltaNetSpec): Key[] {
  const recurrent = blocks.map(({ attention }) => attention.kind === "delta");
  const every = recurrent.indexOf(false) + 1;
  const regular = recurrent.every((is, block) => is === ((block + 1) % every !== 0));
  return [
    ["ssm.conv_kernel", u32(kernel)],
    ["ssm.state_size", u32(keyDim)],
    ["ssm.group_count", u32(keyHeads)],
    ["ssm.time_step_rank", u32(valueHeads)],
    ["ssm.inner_size", u32(valueHeads * valueDim)],
    regular ? ["full_attention_interval", u32(every)] : ["attention.recurrent_layers", flags(recurrent)],
  ];
}

// Of blocks with a window; the usual keys speak of the others.
function kindKeys(spec: DecoderSpec, { window, attention }: GraphFacts): Key[] {
  const attentions = fileAttentions(spec).map((each) => each.attention);
  const windowed = attentions.find(({ slidingWindow }) => slidingWindow !== null) ?? attention;
  return [
    ["attention.sliding_window", u32(window ?? spec.maxPositions)],
    ["attention.sliding_window_pattern", flags(attentions.map(({ slidingWindow }) => slidingWindow !== null))],
    ["attention.key_length_swa", u32(windowed.headDim)],
    ["attention.value_length_swa", u32(windowed.headDim)],
    ["rope.dimension_count_swa", u32(windowed.rotary?.width ?? windowed.headDim)],
    ["attention.shared_kv_layers", u32(0)],
    ["embedding_length_per_layer_input", u32(0)],
  ];
}

// Of text all parts of a position are alike, so any parting computes the same that leaves no pair to the fourth, which is always 0.
function sectionKeys({ attention: { rotary } }: FileAttention): Key[] {
  const pairs = rotary === null ? 0 : rotary.width / 2;
  const thirds = [2, 1, 0].map((more) => Math.floor((pairs + more) / 3));
  const values = [...(rotary?.sections ?? thirds), 0, 0, 0, 0].slice(0, 4);
  return [["rope.dimension_sections", { type: "array", element: "i32", values }]];
}
