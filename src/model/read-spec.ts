import {
  type ModelConfig,
  optionalBoolean,
  optionalCount,
  optionalNumber,
  optionalObject,
  optionalString,
  requireCount,
  requireNumber,
  requireString,
} from "../checkpoint/model-config.js";
import { ModelError } from "../errors.js";
import type { Activation, AttentionSpec, DecoderSpec, PositionSpec, RotaryScaling } from "./decoder-spec.js";
import type { Fact, Family } from "./families/family.js";
import { families } from "./families/index.js";

const activations: ReadonlyMap<string, Activation> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["relu", "relu"],
  ["gelu", "gelu"],
  ["gelu_new", "gelu_tanh"],
  ["gelu_pytorch_tanh", "gelu_tanh"],
]);

/**
 * The decoder that a `config.json` describes.
 *
 * @throws ModelError that names the key, or lists the families that work.
 */
export function readSpec(config: ModelConfig): DecoderSpec {
  const modelType = requireString(config, "model_type");
  const family = families.get(modelType);
  if (family === undefined) {
    throw new ModelError({
      where: "config.json",
      what: `the model family ${JSON.stringify(modelType)} is not supported`,
      next: `use a model of one of these families: ${[...families.keys()].join(", ")}`,
    });
  }
  refuseVariants(config, family);
  const { keys } = family;
  const activation = requireString(config, keys.activation);
  const known = activations.get(activation);
  if (known === undefined) throw unsupported(keys.activation, `"${activation}"`, [...activations.keys()].join(", "));
  const hiddenSize = requireCount(config, keys.hiddenSize);
  const attention = readAttention(config, family, hiddenSize);
  return {
    family: modelType,
    hiddenSize,
    intermediateSize: requireCount(config, keys.intermediateSize),
    blocks: requireCount(config, keys.blocks),
    vocabSize: requireCount(config, "vocab_size"),
    maxPositions: requireCount(config, "max_position_embeddings"),
    norm: { kind: family.norm.kind, eps: numberFact(config, family.norm.eps) },
    positions:
      family.positions === "rotary"
        ? readRotary(config, attention.headDim)
        : { kind: "learned", offset: family.positions.learnedOffset },
    attention,
    mlp: { kind: family.mlp.kind, activation: known, bias: booleanFact(config, family.mlp.bias) },
    tied: booleanFact(config, family.tied),
    names: family.names,
  };
}

function readAttention(config: ModelConfig, family: Family, hiddenSize: number): AttentionSpec {
  const { keys, attention } = family;
  const heads = requireCount(config, keys.heads);
  const kvHeads = (keys.kvHeads === null ? undefined : optionalCount(config, keys.kvHeads)) ?? heads;
  const headDim = (keys.headDim === null ? undefined : optionalCount(config, keys.headDim)) ?? hiddenSize / heads;
  if (heads % kvHeads !== 0 || !Number.isInteger(headDim)) {
    throw new ModelError({
      where: "config.json",
      what: `${heads} heads and ${kvHeads} key-value heads do not fit a hidden size of ${hiddenSize}`,
      next: `check ${keys.heads}, ${keys.kvHeads ?? keys.heads} and ${keys.hiddenSize}`,
    });
  }
  return {
    heads,
    kvHeads,
    headDim,
    qkvBias: booleanFact(config, attention.qkvBias),
    outBias: booleanFact(config, attention.outBias),
    qkNorm: attention.qkNorm,
    slidingWindow: readSlidingWindow(config, attention.slidingWindow),
  };
}

function readSlidingWindow(config: ModelConfig, keys: Family["attention"]["slidingWindow"]): number | null {
  if (keys === null) return null;
  if (keys.enabledBy !== undefined && optionalBoolean(config, keys.enabledBy) !== true) return null;
  return optionalCount(config, keys.key) ?? null;
}

// transformers 5 keeps all rotary facts in `rope_parameters`; before, theta stood alone and `rope_scaling` was there only
// when something was scaled. Where both are given, `rope_scaling` wins, as in transformers.
function readRotary(config: ModelConfig, headDim: number): PositionSpec {
  const scaling = optionalObject(config, "rope_scaling");
  const parameters = scaling ?? optionalObject(config, "rope_parameters") ?? {};
  const partial =
    optionalNumber(parameters, "partial_rotary_factor") ?? optionalNumber(config, "partial_rotary_factor") ?? 1;
  if (partial !== 1) throw unsupported("partial_rotary_factor", String(partial), "1");
  if (headDim % 2 !== 0) throw unsupported("the width of a head", String(headDim), "even, to turn pairs of it");
  const theta = optionalNumber(parameters, "rope_theta") ?? optionalNumber(config, "rope_theta") ?? 10000;
  return { kind: "rotary", theta, scaling: readScaling(parameters, requireCount(config, "max_position_embeddings")) };
}

function readScaling(scaling: ModelConfig, maxPositions: number): RotaryScaling {
  const type = optionalString(scaling, "rope_type") ?? optionalString(scaling, "type") ?? "default";
  switch (type) {
    case "default":
    case "none":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: requireNumber(scaling, "factor") };
    case "llama3":
      return {
        kind: "llama3",
        factor: requireNumber(scaling, "factor"),
        lowFrequencyFactor: requireNumber(scaling, "low_freq_factor"),
        highFrequencyFactor: requireNumber(scaling, "high_freq_factor"),
        originalContext: optionalCount(scaling, "original_max_position_embeddings") ?? maxPositions,
      };
    default:
      throw unsupported("the rope_type", `"${type}"`, "none, default, linear or llama3");
  }
}

function refuseVariants(config: ModelConfig, family: Family): void {
  for (const [key, expected] of Object.entries(family.requires ?? {})) {
    const value = config[key];
    if (value !== undefined && value !== null && value !== expected) {
      throw unsupported(key, JSON.stringify(value), String(expected));
    }
  }
  for (const [a, b] of family.equal ?? []) {
    const value = optionalNumber(config, a);
    if (value !== undefined && value !== optionalNumber(config, b)) {
      throw unsupported(a, String(value), `the value of ${b}`);
    }
  }
}

function booleanFact(config: ModelConfig, fact: Fact<boolean>): boolean {
  return typeof fact === "boolean" ? fact : (optionalBoolean(config, fact.key) ?? fact.default);
}

function numberFact(config: ModelConfig, fact: Fact<number>): number {
  return typeof fact === "number" ? fact : (optionalNumber(config, fact.key) ?? fact.default);
}

function unsupported(key: string, value: string, supported: string): ModelError {
  return new ModelError({
    where: "config.json",
    what: `${key} is ${value}, which crossblock does not compute`,
    next: `use a model with ${key} ${supported}`,
  });
}
