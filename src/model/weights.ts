import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { type DType, keep, noGrad, type Tensor } from "../tensor/index.js";
import {
  type DecoderSpec,
  hasBias,
  inBlock,
  type LinearRole,
  linearName,
  linearRoles,
  linearShape,
  type NormRole,
} from "./decoder-spec.js";
import { loadTensor, type Placement } from "./load-tensor.js";

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

/** What surrounds the blocks: embedding, learned positions, final norm, head. */
export interface OuterWeights {
  /** `[vocab, hidden]` */
  readonly embedding: Tensor;
  /** `[offset + maxPositions, hidden]`; null with rotary positions. */
  readonly positions: Tensor | null;
  readonly finalNorm: NormWeights;
  /** `[vocab, hidden]`; the embedding itself when tied. */
  readonly head: Tensor;
  dispose(): void;
}

/** Where the tensor of a name comes from: a checkpoint, or a result that is decoded on the way. */
export type TensorSource = (name: string, shape: readonly number[]) => Tensor;

export function checkpointSource(checkpoint: Checkpoint, to: Placement): TensorSource {
  return (name, shape) => loadTensor(checkpoint, name, shape, to);
}

/** Loads block `index`. @throws CheckpointError naming the tensor */
export function loadBlock(source: TensorSource, spec: DecoderSpec, index: number): BlockWeights {
  const owned: Tensor[] = [];
  const load = (name: string, shape: readonly number[]): Tensor => {
    const tensor = source(name, shape);
    owned.push(tensor);
    return tensor;
  };
  const norm = (name: string, width: number, kind = spec.norm.kind): NormWeights => ({
    weight: load(`${name}.weight`, [width]),
    bias: kind === "layer" ? load(`${name}.bias`, [width]) : null,
  });
  const disposeAll = (): void => {
    for (const tensor of owned) tensor.dispose();
  };
  try {
    const { attention, names } = spec;
    const headNorm = (name: string): NormWeights | null =>
      attention.qkNorm ? norm(inBlock(name, index), attention.headDim, "rms") : null;
    return {
      norms: {
        attentionNorm: norm(inBlock(names.norms.attentionNorm, index), spec.hiddenSize),
        mlpNorm: norm(inBlock(names.norms.mlpNorm, index), spec.hiddenSize),
      },
      linears: new Map(
        linearRoles(spec).map((role) => {
          const name = linearName(spec, index, role);
          const shape = linearShape(spec, role);
          return [
            role,
            {
              weight: load(`${name}.weight`, shape),
              bias: hasBias(spec, role) ? load(`${name}.bias`, [shape[0]]) : null,
            },
          ];
        }),
      ),
      qNorm: headNorm(names.qNorm),
      kNorm: headNorm(names.kNorm),
      dispose: disposeAll,
    };
  } catch (error) {
    disposeAll();
    throw error;
  }
}

/** The block in another dtype; takes the given one over, which is gone when that differs. */
export function castBlock(weights: BlockWeights, dtype: DType): BlockWeights {
  const owned: Tensor[] = [];
  const cast = (tensor: Tensor): Tensor => {
    const result = keep(noGrad(() => tensor.to(dtype)));
    owned.push(result);
    return result;
  };
  const pair = ({ weight, bias }: LinearWeights): LinearWeights => ({
    weight: cast(weight),
    bias: bias === null ? null : cast(bias),
  });
  const result: BlockWeights = {
    norms: { attentionNorm: pair(weights.norms.attentionNorm), mlpNorm: pair(weights.norms.mlpNorm) },
    linears: new Map([...weights.linears].map(([role, linear]) => [role, pair(linear)])),
    qNorm: weights.qNorm === null ? null : pair(weights.qNorm),
    kNorm: weights.kNorm === null ? null : pair(weights.kNorm),
    dispose: () => {
      for (const tensor of owned) tensor.dispose();
    },
  };
  weights.dispose();
  return result;
}

/** Loads what surrounds the blocks. @throws CheckpointError naming the tensor */
export function loadOuter(source: TensorSource, spec: DecoderSpec): OuterWeights {
  const { names, hiddenSize, vocabSize } = spec;
  const embedding = source(`${names.embedding}.weight`, [vocabSize, hiddenSize]);
  const positions =
    spec.positions.kind === "learned"
      ? source(`${names.positions}.weight`, [spec.positions.offset + spec.maxPositions, hiddenSize])
      : null;
  const finalNorm = {
    weight: source(`${names.finalNorm}.weight`, [hiddenSize]),
    bias: spec.norm.kind === "layer" ? source(`${names.finalNorm}.bias`, [hiddenSize]) : null,
  };
  const head = spec.tied ? embedding : source(`${names.head}.weight`, [vocabSize, hiddenSize]);
  return {
    embedding,
    positions,
    finalNorm,
    head,
    dispose: () => {
      for (const tensor of [embedding, positions, finalNorm.weight, finalNorm.bias, head]) tensor?.dispose();
    },
  };
}
