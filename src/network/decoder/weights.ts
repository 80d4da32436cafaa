import type { Tensor } from "../../tensor/index.js";
import { loadAll, type TensorSource } from "../owned-weights.js";
import type { NormWeights } from "../unit-weights.js";
import type { DecoderSpec } from "./spec/decoder-spec.js";

/** What comes before the blocks. */
export interface EmbeddingWeights {
  /** `[vocab, hidden]` */
  readonly embedding: Tensor;
  /** `[offset + maxPositions, hidden]`; null with rotary positions. */
  readonly positions: Tensor | null;
  dispose(): void;
}

/** What comes after the blocks. */
export interface HeadWeights {
  readonly finalNorm: NormWeights;
  /** `[vocab, hidden]`; the embedding when tied. */
  readonly head: Tensor;
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
    finalNorm: loadFinalNorm(load, spec),
    head: load(`${name}.weight`, [spec.vocabSize, spec.hiddenSize]),
  }));
}

/** Loads what surrounds the blocks. @throws CheckpointError naming the tensor */
export function loadOuter(source: TensorSource, spec: DecoderSpec): OuterWeights {
  return loadAll(source, (load) => {
    const before = embeddingWeights(load, spec);
    return {
      ...before,
      finalNorm: loadFinalNorm(load, spec),
      head: spec.tied ? before.embedding : load(`${spec.names.head}.weight`, [spec.vocabSize, spec.hiddenSize]),
    };
  });
}

function embeddingWeights(load: TensorSource, spec: DecoderSpec): Omit<EmbeddingWeights, "dispose"> {
  const { names, hiddenSize, vocabSize, positions, maxPositions } = spec;
  return {
    embedding: load(`${names.embedding}.weight`, [vocabSize, hiddenSize]),
    positions:
      positions.kind === "learned"
        ? load(`${names.positions}.weight`, [positions.offset + maxPositions, hiddenSize])
        : null,
  };
}

function loadFinalNorm(load: TensorSource, { names, hiddenSize, norm }: DecoderSpec): NormWeights {
  return {
    weight: load(`${names.finalNorm}.weight`, [hiddenSize]),
    bias: norm.kind === "layer" ? load(`${names.finalNorm}.bias`, [hiddenSize]) : null,
  };
}
