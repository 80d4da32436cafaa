import type { Tensor } from "../../tensor/index.js";
import { loadAll, type TensorSource } from "../owned-weights.js";
import type { NormWeights } from "../unit-weights.js";
import type { DecoderSpec, NormSpec } from "./spec/decoder-spec.js";

/** What comes before the blocks. */
export interface EmbeddingWeights {
  /** `[vocab, hidden]` */
  readonly embedding: Tensor;
  /** `[offset + maxPositions, hidden]`; null without learned positions. */
  readonly positions: Tensor | null;
  /** Null where the embedding has none. */
  readonly embeddingNorm: NormWeights | null;
  dispose(): void;
}

/** What comes after the blocks. */
export interface HeadWeights {
  readonly finalNorm: NormWeights;
  /** `[vocab, hidden]`; the embedding when tied. */
  readonly head: Tensor;
  /** `[vocab]`; null without one. */
  readonly headBias: Tensor | null;
  dispose(): void;
}

/** Both; a tied embedding is held once. */
export interface OuterWeights extends EmbeddingWeights, HeadWeights {}

/** Loads what comes before the blocks. @throws CheckpointError naming the tensor */
export function loadEmbedding(source: TensorSource, spec: DecoderSpec): EmbeddingWeights {
  return loadAll(source, (load) => embeddingWeights(load, spec));
}

/** Loads what comes after the blocks. @throws CheckpointError naming the tensor */
export function loadHead(source: TensorSource, spec: DecoderSpec): HeadWeights {
  const name = spec.tied ? spec.names.embedding : spec.names.head;
  return loadAll(source, (load) => ({
    finalNorm: loadNorm(load, spec, spec.names.finalNorm, spec.finalNorm),
    head: load(`${name}.weight`, [spec.vocabSize, spec.hiddenSize]),
    headBias: loadHeadBias(load, spec),
  }));
}

/** Loads what surrounds the blocks. @throws CheckpointError naming the tensor */
export function loadOuter(source: TensorSource, spec: DecoderSpec): OuterWeights {
  return loadAll(source, (load) => {
    const before = embeddingWeights(load, spec);
    return {
      ...before,
      finalNorm: loadNorm(load, spec, spec.names.finalNorm, spec.finalNorm),
      head: spec.tied ? before.embedding : load(`${spec.names.head}.weight`, [spec.vocabSize, spec.hiddenSize]),
      headBias: loadHeadBias(load, spec),
    };
  });
}

function embeddingWeights(load: TensorSource, spec: DecoderSpec): Omit<EmbeddingWeights, "dispose"> {
  const { names, hiddenSize, vocabSize, maxPositions } = spec;
  const { positions, norm } = spec.embedding;
  return {
    embedding: load(`${names.embedding}.weight`, [vocabSize, hiddenSize]),
    positions:
      positions === null ? null : load(`${names.positions}.weight`, [positions.offset + maxPositions, hiddenSize]),
    embeddingNorm: norm === null ? null : loadNorm(load, spec, String(names.embeddingNorm), norm),
  };
}

function loadHeadBias(load: TensorSource, { names, head, vocabSize }: DecoderSpec): Tensor | null {
  return head.bias ? load(`${names.head}.bias`, [vocabSize]) : null;
}

function loadNorm(load: TensorSource, { hiddenSize }: DecoderSpec, name: string, norm: NormSpec): NormWeights {
  return {
    weight: load(`${name}.weight`, [hiddenSize]),
    bias: norm.bias ? load(`${name}.bias`, [hiddenSize]) : null,
    offset: norm.gain === "1+w" ? 1 : 0,
  };
}
