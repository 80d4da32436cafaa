import type { DecoderSpec, ExpertsSpec } from "../../../network/index.js";
import type { GgufValue } from "../file/layout.js";
import { fileAttentions } from "./attentions.js";
import { type GgufFamily, ggufFamily } from "./families.js";
import { graphFacts } from "./graph-facts.js";
import { ownKeys } from "./own-keys.js";
import { rotaries } from "./rope-scaling.js";
import { type ScaleKey, scaleKeys } from "./scale-keys.js";

/** What GGUF needs to know of a network. */
export interface ModelShape {
  readonly family: GgufFamily;
  readonly layers: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly heads: number;
  /** Of every block, where they differ. */
  readonly keyValueHeads: number | readonly number[];
  /** Channels of a head's queries and keys. */
  readonly headDim: number;
  readonly valueDim: number;
  /** Channels of a head that turn; null where positions do not turn any. */
  readonly rotaryWidth: number | null;
  /** Rows of q and k change places: the graph turns neighbours together, the checkpoint halves. */
  readonly interleaves: boolean;
  readonly vocabulary: number;
  readonly contextLength: number;
  readonly norm: "rms" | "layer";
  readonly normEpsilon: number;
  readonly tied: boolean;
  /** Factors of the streams and caps, by their keys. */
  readonly scales: readonly ScaleKey[];
  /** Other keys of this architecture. */
  readonly own: readonly (readonly [key: string, value: GgufValue])[];
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
  const facts = graphFacts(spec, family);
  const { attention, dense, experts } = facts;
  const { rotary } = rotaries(spec);
  return {
    family,
    layers: spec.blocks.length,
    hidden: spec.hiddenSize,
    feedForward: dense?.width ?? experts?.width ?? 0,
    heads: attention.heads,
    keyValueHeads: keyValueHeads(spec, attention.kvHeads),
    headDim: attention.headDim,
    valueDim: facts.main.valueDim,
    rotaryWidth: rotary?.width ?? null,
    interleaves: family.pairs === "neighbours" && rotary?.pairs === "halves",
    vocabulary: spec.vocabSize,
    contextLength: ggufContext(spec),
    norm: spec.finalNorm.kind,
    normEpsilon: spec.finalNorm.eps,
    tied: spec.tied,
    experts: experts === null ? null : expertsShape(experts),
    scales: scaleKeys(spec, family),
    own: ownKeys(spec, family, facts),
  };
}

function keyValueHeads(spec: DecoderSpec, usual: number): number | readonly number[] {
  const all = spec.blocks.some(({ attention }) => attention.kind === "convolution")
    ? spec.blocks.map(({ attention }) => (attention.kind === "softmax" ? attention.kvHeads : 0))
    : fileAttentions(spec).map(({ attention }) => attention.kvHeads);
  // Those that turn neighbours together have one number of heads in all blocks.
  return all.every((count) => count === usual) ? usual : all;
}

function expertsShape({ count, perToken, width, shared }: ExpertsSpec): ExpertsShape {
  return { count, perToken, width, shared: shared?.width ?? null };
}

/**
 * Where llama.cpp's graph has no window, it attends to the whole context. That equals a sliding window as long as the
 * text is no longer than the window, so the window is the longest context that the file may promise. Learned positions end with their table.
 */
export function ggufContext(spec: DecoderSpec): number {
  const { window } = graphFacts(spec, ggufFamily(spec.family));
  if (window !== null) return spec.maxPositions;
  const windows = fileAttentions(spec).flatMap(({ attention }) => attention.slidingWindow ?? []);
  return Math.min(spec.maxPositions, ...windows);
}
