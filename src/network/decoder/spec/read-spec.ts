import {
  type ModelConfig,
  optionalCount,
  optionalString,
  requireCount,
  requireString,
} from "../../../checkpoint/model-config.js";
import { ModelError } from "../../../errors.js";
import type { Family } from "../families/family.js";
import { families } from "../families/index.js";
import type {
  Activation,
  BlockSpec,
  DecoderSpec,
  EmbeddingSpec,
  HeadSpec,
  NormRole,
  NormSpec,
} from "./decoder-spec.js";
import { readAttention } from "./read-attention.js";
import { readDeltaNet } from "./read-delta-net.js";
import { booleanFact, capFact, positiveFact, refuseVariants } from "./read-facts.js";
import { readKinds, rotatedBlocks } from "./read-kinds.js";
import { unsupportedKey } from "./unsupported-key.js";

const activations: ReadonlyMap<string, Activation> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["relu", "relu"],
  ["relu2", "relu2"],
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
  const hiddenSize = requireCount(config, family.keys.hiddenSize);
  const norm = readNorm(config, family);
  const { names } = family;
  return {
    family: modelType,
    hiddenSize,
    vocabSize: requireCount(config, "vocab_size"),
    maxPositions:
      optionalCount(config, family.keys.maxPositions ?? "max_position_embeddings") ?? family.defaults.maxPositions,
    embedding: readEmbedding(config, family, hiddenSize, norm),
    blocks: readBlocks(config, family, hiddenSize, norm),
    finalNorm: norm,
    head: readHead(config, family),
    tied: booleanFact(config, family.tied),
    names,
    stored: { fused: family.stored?.fused ?? [], transposed: family.stored?.transposed ?? [] },
  };
}

function readNorm(config: ModelConfig, { norm }: Family): NormSpec {
  const { kind, gain = "w", bias = true } = norm;
  return { kind, eps: positiveFact(config, norm.eps), gain, bias: kind === "layer" && bias };
}

function readEmbedding(config: ModelConfig, family: Family, hiddenSize: number, norm: NormSpec): EmbeddingSpec {
  const { positions, multipliers, names } = family;
  const multiplier = multipliers?.embedding ?? 1;
  return {
    multiplier: multiplier === "rootOfHiddenSize" ? Math.sqrt(hiddenSize) : positiveFact(config, multiplier),
    positions: typeof positions === "object" ? { offset: positions.learnedOffset } : null,
    norm: names.embeddingNorm === undefined ? null : norm,
  };
}

function readHead(config: ModelConfig, { multipliers, softcap, headBias }: Family): HeadSpec {
  return {
    bias: headBias === true,
    multiplier: positiveFact(config, multipliers?.logits ?? 1) / positiveFact(config, multipliers?.logitsDivisor ?? 1),
    softcap: capFact(config, softcap),
  };
}

function readBlocks(config: ModelConfig, family: Family, hiddenSize: number, norm: NormSpec): readonly BlockSpec[] {
  const { keys, defaults, names, arrangement = "sequential", multipliers } = family;
  const maxPositions = optionalCount(config, keys.maxPositions ?? "max_position_embeddings") ?? defaults.maxPositions;
  const kinds = readKinds(config, family, requireCount(config, keys.blocks));
  const rotated = rotatedBlocks(config, family.rotary ?? {}, kinds);
  const parallel = typeof arrangement === "string" ? arrangement === "parallel" : booleanFact(config, arrangement);
  const streamNorms = (["attentionNorm", "attentionPostNorm", "mlpNorm", "mlpPostNorm"] as const).filter(
    (role) => names.norms[role] !== undefined,
  );
  const norms = Object.fromEntries(streamNorms.map((role) => [role, norm])) as Partial<Record<NormRole, NormSpec>>;
  const mlp = {
    kind: family.mlp.kind,
    activation: readActivation(config, family),
    bias: booleanFact(config, family.mlp.bias),
    width:
      defaults.widening === undefined
        ? requireCount(config, keys.intermediateSize)
        : (optionalCount(config, keys.intermediateSize) ?? defaults.widening * hiddenSize),
  };
  return kinds.kinds.map((kind, block) => ({
    arrangement: parallel ? "parallel" : "sequential",
    norms,
    attention:
      kind === "linear_attention"
        ? readDeltaNet(config, family, norm)
        : readAttention(config, {
            family,
            hiddenSize,
            maxPositions,
            norm,
            kinds,
            block,
            kind,
            rotated: rotated[block] === true,
          }),
    mlp,
    residualMultiplier: positiveFact(config, multipliers?.residual ?? 1),
    outputScalar: names.tensors?.outputScalar !== undefined,
  }));
}

function readActivation(config: ModelConfig, { keys, defaults }: Family): Activation {
  const activation = optionalString(config, keys.activation) ?? defaults.activation;
  const known = activations.get(activation);
  if (known === undefined) throw unsupportedKey(keys.activation, `"${activation}"`, [...activations.keys()].join(", "));
  return known;
}
