import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import type { Tensor } from "../../tensor/index.js";
import { loadTensor, type Placement } from "../load-tensor.js";
import {
  type DecoderSpec,
  hasBias,
  inBlock,
  type LinearRole,
  linearName,
  linearRoles,
  linearShape,
  type NormRole,
  type NormSpec,
} from "./spec/decoder-spec.js";

export interface LinearWeights {
  /** `[out, in]` */
  readonly weight: Tensor;
  /** `[out]` */
  readonly bias: Tensor | null;
}

export interface NormWeights {
  /** `[width]` */
  readonly weight: Tensor;
  /** `[width]`; null for RMS norms. */
  readonly bias: Tensor | null;
}

/** The tensors of one block, which own their memory. */
export interface BlockWeights {
  readonly norms: Readonly<Record<NormRole, NormWeights>>;
  readonly linears: ReadonlyMap<LinearRole, LinearWeights>;
  /** Norms over heads; null without them. */
  readonly qNorm: NormWeights | null;
  readonly kNorm: NormWeights | null;
  dispose(): void;
}

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

/** Where the tensor of a name comes from: a checkpoint, or a result that is decoded on the way. */
export type TensorSource = (name: string, shape: readonly number[]) => Tensor;

export function checkpointSource(checkpoint: TensorReader, to: Placement): TensorSource {
  return (name, shape) => loadTensor(checkpoint, name, shape, to);
}

/** Loads block `index`. @throws CheckpointError naming the tensor */
export function loadBlock(source: TensorSource, spec: DecoderSpec, index: number): BlockWeights {
  return loadAll(source, (load) => {
    const { attention, names, hiddenSize } = spec;
    const linear = (role: LinearRole): LinearWeights => {
      const name = linearName(spec, index, role);
      const shape = linearShape(spec, role);
      return {
        weight: load(`${name}.weight`, shape),
        bias: hasBias(spec, role) ? load(`${name}.bias`, [shape[0]]) : null,
      };
    };
    const norm = (name: string): NormWeights => loadNorm(load, inBlock(name, index), hiddenSize, spec.norm.kind);
    const headNorm = (name: string): NormWeights | null =>
      attention.qkNorm ? loadNorm(load, inBlock(name, index), attention.headDim, "rms") : null;
    return {
      norms: { attentionNorm: norm(names.norms.attentionNorm), mlpNorm: norm(names.norms.mlpNorm) },
      linears: new Map(linearRoles(spec).map((role) => [role, linear(role)])),
      qNorm: headNorm(names.qNorm),
      kNorm: headNorm(names.kNorm),
    };
  });
}

/** A block whose tensors are `change` of those given, which stay; it owns what `change` returns. */
export function mapBlock(weights: BlockWeights, change: (tensor: Tensor) => Tensor): BlockWeights {
  return collectOwned((own) => {
    const pair = ({ weight, bias }: LinearWeights): LinearWeights => ({
      weight: own(change(weight)),
      bias: bias === null ? null : own(change(bias)),
    });
    return {
      norms: { attentionNorm: pair(weights.norms.attentionNorm), mlpNorm: pair(weights.norms.mlpNorm) },
      linears: new Map([...weights.linears].map(([role, linear]) => [role, pair(linear)])),
      qNorm: weights.qNorm === null ? null : pair(weights.qNorm),
      kNorm: weights.kNorm === null ? null : pair(weights.kNorm),
    };
  });
}

/** Loads what comes before the blocks. @throws CheckpointError naming the tensor */
export function loadEmbedding(source: TensorSource, spec: DecoderSpec): EmbeddingWeights {
  return loadAll(source, (load) => embeddingWeights(load, spec));
}

/** Loads what comes after the blocks. @throws CheckpointError naming the tensor */
export function loadHead(source: TensorSource, spec: DecoderSpec): HeadWeights {
  const name = spec.tied ? spec.names.embedding : spec.names.head;
  return loadAll(source, (load) => ({
    finalNorm: loadNorm(load, spec.names.finalNorm, spec.hiddenSize, spec.norm.kind),
    head: load(`${name}.weight`, [spec.vocabSize, spec.hiddenSize]),
  }));
}

/** Loads what surrounds the blocks. @throws CheckpointError naming the tensor */
export function loadOuter(source: TensorSource, spec: DecoderSpec): OuterWeights {
  return loadAll(source, (load) => {
    const before = embeddingWeights(load, spec);
    return {
      ...before,
      finalNorm: loadNorm(load, spec.names.finalNorm, spec.hiddenSize, spec.norm.kind),
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

function loadNorm(load: TensorSource, name: string, width: number, kind: NormSpec["kind"]): NormWeights {
  return {
    weight: load(`${name}.weight`, [width]),
    bias: kind === "layer" ? load(`${name}.bias`, [width]) : null,
  };
}

function loadAll<T extends object>(source: TensorSource, build: (load: TensorSource) => T): T & { dispose(): void } {
  return collectOwned((own) => build((name, shape) => own(source(name, shape))));
}

// Weights that own what was made for them; when one tensor fails, those before it are freed.
function collectOwned<T extends object>(build: (own: (tensor: Tensor) => Tensor) => T): T & { dispose(): void } {
  const owned: Tensor[] = [];
  const dispose = (): void => {
    for (const tensor of owned) tensor.dispose();
  };
  try {
    const weights = build((tensor) => {
      owned.push(tensor);
      return tensor;
    });
    return { ...weights, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
