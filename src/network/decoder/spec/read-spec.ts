import {
  listedParts,
  type ModelConfig,
  optionalCount,
  optionalString,
  requireCount,
  requireString,
} from "../../../checkpoint/model-config.js";
import { ModelError } from "../../../errors.js";
import type { BlockKind, Family } from "../families/family.js";
import { families } from "../families/index.js";
import type {
  BlockSpec,
  DecoderSpec,
  EmbeddingSpec,
  HeadSpec,
  MixerSpec,
  MlpSpec,
  NormRole,
  NormSpec,
} from "./decoder-spec.js";
import { readMlps } from "./experts/read-mlps.js";
import { readConvolution } from "./mixers/read-convolution.js";
import { readDeltaNet } from "./mixers/read-delta-net.js";
import { readLatent } from "./mixers/read-latent.js";
import { hasNormMatrices, matrixNorms } from "./norm-matrices.js";
import { type AttentionOf, readAttention } from "./read-attention.js";

import { booleanFact, capFact, positiveFact, refuseVariants } from "./read-facts.js";
import { readKinds, rotatedBlocks } from "./read-kinds.js";
import { hasTower, modelsWithTower, textConfig, towerNames } from "./tower/text-tower.js";

/** Whether the head is the embedding, by the configuration alone. */
export function tiesEmbeddings(whole: ModelConfig): boolean {
  const config = textConfig(whole);
  const tied = families.get(optionalString(config, "model_type") ?? "")?.tied;
  return booleanFact(config, tied ?? { key: "tie_word_embeddings", default: false });
}

/**
 * The decoder that a `config.json` describes: that of a text model, or the text network of a model of text and images. What the
 * file leaves out is what the family's configuration class in transformers takes.
 *
 * @param has whether the checkpoint has a tensor of this name: it tells where a text network lies in a larger model
 * @throws ModelError that names the key, or lists the families that work.
 */
export function readSpec(whole: ModelConfig, has: (tensor: string) => boolean = () => true): DecoderSpec {
  const config = textConfig(whole);
  const family = requireFamily(whole);
  const modelType = requireString(config, "model_type");
  const hiddenSize = requireCount(config, family.keys.hiddenSize);
  const norm = readNorm(config, family);
  const names = towerNames(whole, family.names, has);
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
    tied:
      hasTower(whole) && config["tie_word_embeddings"] === undefined
        ? !has(`${names.head}.weight`)
        : booleanFact(config, family.tied),
    names,
    stored: {
      fused: family.stored?.fused ?? [],
      transposed: family.stored?.transposed ?? [],
      experts: family.experts === undefined ? null : { forms: family.experts.stored, each: family.experts.each },
    },
  };
}

/**
 * The family of a `config.json`, which tells without any weight whether the model is one that can be read.
 *
 * @throws ModelError that names what the family has and is not read, or lists the families that work
 */
export function requireFamily(whole: ModelConfig): Family {
  const config = textConfig(whole);
  const modelType = requireString(config, "model_type");
  const family = families.get(modelType);
  if (family === undefined) throw unknownFamily(modelType);
  refuseVariants(config, family);
  return family;
}

function unknownFamily(modelType: string): ModelError {
  return new ModelError({
    where: "config.json",
    what: `the model family ${JSON.stringify(modelType)} is not supported`,
    next:
      `use a model of one of these families: ${[...families.keys()].join(", ")}; ` +
      `or one of text and images with such a text network: ${modelsWithTower.join(", ")}`,
  });
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
    bias: booleanFact(config, headBias ?? false),
    multiplier: positiveFact(config, multipliers?.logits ?? 1) / positiveFact(config, multipliers?.logitsDivisor ?? 1),
    softcap: capFact(config, softcap),
  };
}

function readBlocks(config: ModelConfig, family: Family, hiddenSize: number, norm: NormSpec): readonly BlockSpec[] {
  const { keys, defaults, names, arrangement = "sequential", multipliers } = family;
  const maxPositions = optionalCount(config, keys.maxPositions ?? "max_position_embeddings") ?? defaults.maxPositions;
  const kinds = readKinds(config, family, listedParts(keys.blocks, requireCount(config, keys.blocks)));
  const rotated = rotatedBlocks(config, family.rotary ?? {}, kinds);
  const parallel = typeof arrangement === "string" ? arrangement === "parallel" : booleanFact(config, arrangement);
  const mlps = readMlps(config, family, { hiddenSize, eps: norm.eps, blocks: kinds.kinds.length });
  const withMatrices = hasNormMatrices(config);
  const normsOf = (mlp: MlpSpec): Partial<Record<NormRole, NormSpec>> => {
    const roles = mlp.kind === "experts" && mlp.beside !== null ? [...streamNorms, ...besideNorms] : streamNorms;
    const own = Object.fromEntries(roles.filter((role) => names.norms[role] !== undefined).map((role) => [role, norm]));
    return withMatrices ? matrixNorms(own) : own;
  };
  return mlps.map((mlp, block) => {
    const kind = kinds.kinds[block] as BlockKind;
    return {
      arrangement: parallel ? "parallel" : "sequential",
      norms: normsOf(mlp),
      attention: readMixer(config, {
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
    };
  });
}

function readMixer(config: ModelConfig, of: AttentionOf): MixerSpec {
  if (of.kind === "conv") return readConvolution(config, of.family, of.hiddenSize);
  if (of.kind === "linear_attention") return readDeltaNet(config, of.family, of.norm);
  if (of.family.latent !== undefined) return readLatent(config, of.family, of.maxPositions);
  return readAttention(config, of);
}

const streamNorms = ["attentionNorm", "attentionPostNorm", "mlpNorm", "mlpPostNorm"] as const;
const besideNorms = ["expertsNorm", "expertsPostNorm", "densePostNorm"] as const;
