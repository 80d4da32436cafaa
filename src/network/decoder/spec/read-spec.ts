import {
  type ModelConfig,
  optionalBoolean,
  optionalCount,
  optionalNumber,
  optionalString,
  requireCount,
  requirePositive,
  requireString,
} from "../../../checkpoint/model-config.js";
import { ModelError } from "../../../errors.js";
import type { Fact, Family } from "../families/family.js";
import { families } from "../families/index.js";
import type { Activation, AttentionSpec, DecoderSpec } from "./decoder-spec.js";
import { readRotary } from "./read-rotary.js";
import { readSlidingWindow } from "./read-sliding-window.js";
import { unsupportedKey } from "./unsupported-key.js";

const activations: ReadonlyMap<string, Activation> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["relu", "relu"],
  ["gelu", "gelu"],
  ["gelu_new", "gelu_tanh"],
  ["gelu_pytorch_tanh", "gelu_tanh"],
]);

/** Whether the head is the embedding, by the configuration alone. */
export function tiesEmbeddings(config: ModelConfig): boolean {
  const tied = families.get(optionalString(config, "model_type") ?? "")?.tied;
  return booleanFact(config, tied ?? { key: "tie_word_embeddings", default: false });
}

/**
 * The decoder that a `config.json` describes. What the file leaves out is what the family's configuration class in
 * transformers takes.
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
  const activation = optionalString(config, keys.activation) ?? family.defaults.activation;
  const known = activations.get(activation);
  if (known === undefined) throw unsupportedKey(keys.activation, `"${activation}"`, [...activations.keys()].join(", "));
  const hiddenSize = requireCount(config, keys.hiddenSize);
  const blocks = requireCount(config, keys.blocks);
  const attention = readAttention(config, family, hiddenSize, blocks);
  const maxPositions = optionalCount(config, "max_position_embeddings") ?? family.defaults.maxPositions;
  return {
    family: modelType,
    hiddenSize,
    intermediateSize: requireCount(config, keys.intermediateSize),
    blocks,
    vocabSize: requireCount(config, "vocab_size"),
    maxPositions,
    norm: { kind: family.norm.kind, eps: positiveFact(config, family.norm.eps) },
    positions:
      family.positions === "rotary"
        ? readRotary(config, attention.headDim, maxPositions)
        : { kind: "learned", offset: family.positions.learnedOffset },
    attention,
    mlp: { kind: family.mlp.kind, activation: known, bias: booleanFact(config, family.mlp.bias) },
    tied: booleanFact(config, family.tied),
    names: family.names,
  };
}

function readAttention(config: ModelConfig, family: Family, hiddenSize: number, blocks: number): AttentionSpec {
  const { keys, attention, defaults } = family;
  const heads = requireCount(config, keys.heads);
  const kvHeads = (keys.kvHeads === null ? undefined : readKvHeads(config, keys.kvHeads, defaults.kvHeads)) ?? heads;
  const headDim =
    (keys.headDim === null ? undefined : optionalCount(config, keys.headDim)) ?? defaults.headDim ?? hiddenSize / heads;
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
    slidingWindow: readSlidingWindow(config, attention.slidingWindow, blocks),
  };
}

// Where the class has a number of its own, an absent key means that, and a null as many as heads.
function readKvHeads(config: ModelConfig, key: string, absent: number | null): number | undefined {
  return optionalCount(config, key) ?? (config[key] === null ? undefined : (absent ?? undefined));
}

function refuseVariants(config: ModelConfig, family: Family): void {
  for (const [key, expected] of Object.entries(family.requires ?? {})) {
    const value = config[key];
    if (value !== undefined && value !== null && value !== expected) {
      throw unsupportedKey(key, JSON.stringify(value), String(expected));
    }
  }
  for (const [a, b] of family.equal ?? []) {
    const value = optionalNumber(config, a);
    if (value !== undefined && value !== optionalNumber(config, b)) {
      throw unsupportedKey(a, String(value), `the value of ${b}`);
    }
  }
}

function booleanFact(config: ModelConfig, fact: Fact<boolean>): boolean {
  return typeof fact === "boolean" ? fact : (optionalBoolean(config, fact.key) ?? fact.default);
}

// Below zero a norm gives NaN for the inputs that it was meant to save.
function positiveFact(config: ModelConfig, fact: Fact<number>): number {
  if (typeof fact === "number") return fact;
  return optionalNumber(config, fact.key) === undefined ? fact.default : requirePositive(config, fact.key);
}
