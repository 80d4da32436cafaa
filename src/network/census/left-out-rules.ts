import type { SafetensorsDType } from "../../checkpoint/dtype.js";
import { quote } from "../../checkpoint/json/json.js";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import { families } from "../decoder/families/index.js";
import type { DecoderSpec } from "../decoder/spec/decoder-spec.js";
import { textConfig } from "../decoder/spec/tower/text-tower.js";
import type { TensorShapes } from "../unit-weights.js";
import { biasAdvice } from "./bias-advice.js";

/** Why a network does not read a tensor of its checkpoint. */
export type LeftOutReason =
  | "tied-head"
  | "rotary-table"
  | "buffer"
  | "undeclared-bias"
  | "block-beyond"
  | "multi-token-prediction"
  | "classifier-head"
  | "value-head"
  | "other-modality"
  | "adapter"
  | "quantization-scale"
  | "other-prefix"
  | "unread";

/** What is known of a tensor without reading it. */
export interface TensorFacts {
  readonly name: string;
  readonly dtype: SafetensorsDType;
}

/** The verdict on one tensor. */
export interface LeftOut {
  readonly reason: LeftOutReason;
  readonly what: string;
  readonly next: string;
  readonly matters: boolean;
}

/** The model that a tensor lies in. */
export interface CensusContext {
  readonly spec: DecoderSpec;
  readonly config: ModelConfig;
  /** What the network reads. */
  readonly wanted: TensorShapes;
  /** What the checkpoint holds. */
  readonly names: ReadonlySet<string>;
}

interface NamePattern extends Omit<LeftOut, "matters"> {
  readonly pattern: RegExp;
}

/** What libraries save with a model though every network makes it anew. */
const rotaryTable: NamePattern = {
  reason: "rotary-table",
  pattern: /(?:^|\.)(?:rotary_emb|rotary_pos_emb)\.|(?:^|[._])(?:inv_freq|freqs_cis|cos_cached|sin_cached)$/,
  what: "rotary tables, which the network computes from config.json",
  next: "nothing to do",
};
const maskBuffer: NamePattern = {
  reason: "buffer",
  pattern: /(?:^|[._])(?:causal_mask|attention_mask|attn_mask|masked_bias|position_ids)$|\.(?:attn|attention)\.bias$/,
  what: "masks and positions, which the network makes itself",
  next: "nothing to do",
};

/** Parts that are known by a segment of their names, whatever the family. The first that fits decides. */
const parts: readonly NamePattern[] = [
  {
    reason: "other-modality",
    pattern:
      /(?:^|\.)(?:vision_\w+|visual|vision|vit|img_\w+|image_\w+|mm_projector|multi_?modal_projector|audio_\w+|speech_\w+|connector|resampler|perceiver\w*)(?:\.|$)/,
    what: "parts for images or sound; only the text network is quantized",
    next: "nothing to do for text; images and sound need the original model",
  },
  {
    reason: "multi-token-prediction",
    pattern: /(?:^|\.)(?:mtp|nextn|medusa|eagle)\w*(?:\.|$)/,
    what: "heads for multi-token prediction",
    next: "nothing to do; only drafting several tokens at once needs them",
  },
  {
    reason: "value-head",
    pattern: /(?:^|\.)(?:v_head|value_head|reward_head|critic_head)(?:\.|$)/,
    what: "a value head of reinforcement learning",
    next: "nothing to do; text is generated without it",
  },
  {
    reason: "adapter",
    pattern: /(?:^|\.)(?:lora_\w+|modules_to_save|adapter_\w+)(?:\.|$)/,
    what: "matrices of an adapter that is not merged",
    next: "merge it first, in Python: merge_and_unload() of peft, then save_pretrained(folder), and quantize that folder",
  },
  {
    reason: "quantization-scale",
    pattern: /(?:^|[._])scale(?:_inv)?$/,
    what: "scales of quantized weights, inputs or caches",
    next: "use the unquantized model where the weights need them; scales of caches can stay",
  },
];

/** How the tensors of a model that its network does not read are judged; made once for all of them. */
export function leftOutRules(context: CensusContext): (tensor: TensorFacts) => LeftOut {
  const { spec, config, names } = context;
  const { family } = spec;
  const blockPattern = blockPrefix(spec);
  const beyond = blocksBeyond(context, blockPattern);
  const bias = biasAdvice(context);
  const classifier = classifierHead(config);
  return ({ name, dtype }) => {
    if (name === `${spec.names.head}.weight` && spec.tied) {
      const what = "the head is the embedding (tie_word_embeddings)";
      return { reason: "tied-head", what, next: "nothing to do", matters: false };
    }
    if (rotaryTable.pattern.test(name)) return verdict(rotaryTable, false);
    if (maskBuffer.pattern.test(name) || dtype === "BOOL") return verdict(maskBuffer, false);
    const advice = bias(name);
    if (advice !== null) return { reason: "undeclared-bias", ...advice, matters: true };
    const block = Number(blockPattern.exec(name)?.[1] ?? -1);
    if (block >= spec.blocks.length) return beyond;
    if (classifier.pattern.test(name)) return verdict(classifier, true);
    const part = parts.find(({ pattern }) => pattern.test(name));
    if (part !== undefined) return verdict(part, true);
    const twin = otherPrefix(name, context);
    if (twin !== null) {
      const both = names.has(twin);
      return {
        reason: "other-prefix",
        what: `weights of the network under another prefix${both ? "; those under its own names are used" : ""}`,
        next: "save the model again without the wrapper that gave the prefix, if these are the ones that are meant",
        matters: true,
      };
    }
    return {
      reason: "unread",
      what: `weights that a network of the family ${family} does not have`,
      next: `check that model_type in config.json (${quote(family)}) is the architecture of these weights`,
      matters: true,
    };
  };
}

function verdict({ reason, what, next }: NamePattern, matters: boolean): LeftOut {
  return { reason, what, next, matters };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Matches a tensor of any block; the first group is the block's number, the second the rest of the name. */
function blockPrefix({ names }: DecoderSpec): RegExp {
  const [prefix = ""] = names.block.split("{block}");
  return new RegExp(`^${escaped(prefix)}(\\d+)\\.(.+)$`);
}

/** Blocks after the last one: DeepSeek and GLM store what predicts further tokens there, as blocks with parts of their own. */
function blocksBeyond({ spec, config, names }: CensusContext, pattern: RegExp): LeftOut {
  const found = [...names].flatMap((name) => {
    const [, block, rest] = pattern.exec(name) ?? [];
    return block !== undefined && rest !== undefined && Number(block) >= spec.blocks.length ? [{ block, rest }] : [];
  });
  const predicts = found.some(({ rest }) => /^(?:eh_proj|enorm|hnorm|shared_head|embed_tokens)(?:\.|$)/.test(rest));
  const count = textConfig(config)["num_nextn_predict_layers"];
  if (predicts || (typeof count === "number" && count > 0)) {
    return {
      reason: "multi-token-prediction",
      what: "heads for multi-token prediction, stored as blocks after the last",
      next: "nothing to do; only drafting several tokens at once needs them",
      matters: true,
    };
  }
  const last = found.reduce((most, { block }) => Math.max(most, Number(block)), 0);
  return {
    reason: "block-beyond",
    what: `blocks that config.json leaves out: it counts ${spec.blocks.length}`,
    next: `check ${families.get(spec.family)?.keys.blocks} in config.json: the checkpoint holds blocks up to number ${last}`,
    matters: true,
  };
}

function classifierHead({ architectures }: ModelConfig): NamePattern {
  const named = (Array.isArray(architectures) ? architectures : []).find((name) =>
    /For(?!CausalLM)/.test(String(name)),
  );
  const of = named === undefined ? "" : ` of ${String(named)} (architectures in config.json)`;
  return {
    reason: "classifier-head",
    pattern: /^(?:\w+\.)?(?:score|classifier|classification_head|qa_outputs|regression_head)(?:\.|$)/,
    what: `the head${of}; the network is quantized and measured as a language model`,
    next: "nothing to do where folders are used with that head, which they keep; else give the model with a language head",
  };
}

/** The tensor of the network that a name stands for with other leading segments; null where there is none. */
function otherPrefix(name: string, { wanted }: CensusContext): string | null {
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    const rest = name.slice(dot + 1);
    if (wanted.has(rest)) return rest;
  }
  for (const own of wanted.keys()) if (own.endsWith(`.${name}`)) return own;
  return null;
}
