import { FormatError } from "../../../errors.js";
import type { DecoderSpec, ExpertsSpec } from "../../../network/index.js";
import { requireRotatedBlocks, type ScaleKey, scaleKeys } from "./scale-keys.js";
import { type GgufFamily, ggufFamily } from "./tensor-names.js";
import { uniformBlock } from "./uniform-block.js";

/** What GGUF needs to know of a network. */
export interface ModelShape {
  readonly family: GgufFamily;
  readonly layers: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
  readonly contextLength: number;
  readonly normEpsilon: number;
  readonly tied: boolean;
  /** Factors of the streams, by their keys. */
  readonly scales: readonly ScaleKey[];
  /** Null where every token passes the same MLP. */
  readonly experts: ExpertsShape | null;
}

/** What GGUF says of experts. */
export interface ExpertsShape {
  readonly count: number;
  readonly perToken: number;
  readonly width: number;
  /** Width of the MLP beside them; null without one. */
  readonly shared: number | null;
}

/** The shape of a network; refuses what llama.cpp's graph of this family would compute differently. */
export function modelShape(spec: DecoderSpec): ModelShape {
  const family = ggufFamily(spec.family);
  requireRotatedBlocks(spec);
  const scales = scaleKeys(spec);
  const { attention, mlp } = uniformBlock(spec);
  if (mlp.activation !== "silu") {
    throw new FormatError({
      what: `the activation is ${mlp.activation}, and llama.cpp computes this family with silu`,
      where: "config.json",
      next: "use --format compressed-tensors or onnx",
    });
  }
  return {
    family,
    layers: spec.blocks.length,
    hidden: spec.hiddenSize,
    feedForward: mlp.width,
    heads: attention.heads,
    keyValueHeads: attention.kvHeads,
    headDim: attention.headDim,
    vocabulary: spec.vocabSize,
    contextLength: ggufContext(spec),
    normEpsilon: spec.finalNorm.eps,
    tied: spec.tied,
    experts: mlp.kind === "experts" ? expertsShape(mlp, family) : null,
    scales,
  };
}

function expertsShape(mlp: ExpertsSpec, { architecture, experts }: GgufFamily): ExpertsShape {
  const { router, count, perToken, width, shared } = mlp;
  const plain =
    router.scores === "softmax" &&
    !router.correction &&
    !router.bias &&
    router.groups === null &&
    router.scaling === 1 &&
    !router.readsStream &&
    !router.expertScale &&
    mlp.clamped === null &&
    !mlp.bias &&
    !mlp.weighsInput &&
    mlp.beside === null;
  if (!plain || experts === undefined || (router.normalised !== null) !== experts.normalised) {
    throw new FormatError({
      what: `llama.cpp's architecture ${architecture} routes tokens to experts in another way`,
      where: "config.json",
      next: "use --format compressed-tensors",
    });
  }
  return { count, perToken, width, shared: shared?.width ?? null };
}

/**
 * llama.cpp attends to the whole context in these architectures. That equals a sliding window as long as the
 * text is no longer than the window, so the window is the longest context that the file may promise.
 */
export function ggufContext(spec: DecoderSpec): number {
  const { slidingWindow } = uniformBlock(spec).attention;
  return Math.min(spec.maxPositions, slidingWindow ?? spec.maxPositions);
}
