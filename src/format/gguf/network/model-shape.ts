import type { DecoderSpec, ExpertsSpec } from "../../../network/index.js";
import type { GgufValue } from "../file/layout.js";
import { type GgufFamily, ggufFamily } from "./families.js";
import { graphFacts } from "./graph-facts.js";
import { type ScaleKey, scaleKeys } from "./scale-keys.js";

/** What GGUF needs to know of a network. */
export interface ModelShape {
  readonly family: GgufFamily;
  readonly layers: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
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
  const { attention, dense, experts, window } = facts;
  const rotary = spec.blocks.flatMap(({ attention: mixer }) => (mixer.kind === "softmax" && mixer.rotary) || []);
  return {
    family,
    layers: spec.blocks.length,
    hidden: spec.hiddenSize,
    feedForward: dense?.width ?? experts?.width ?? 0,
    heads: attention.heads,
    keyValueHeads: attention.kvHeads,
    headDim: attention.headDim,
    rotaryWidth: rotary[0]?.width ?? null,
    interleaves: family.pairs === "neighbours" && rotary[0]?.pairs === "halves",
    vocabulary: spec.vocabSize,
    contextLength: ggufContext(spec),
    norm: spec.finalNorm.kind,
    normEpsilon: spec.finalNorm.eps,
    tied: spec.tied,
    experts: experts === null ? null : expertsShape(experts),
    scales: scaleKeys(spec, family),
    own: [
      ...(window === null ? [] : [["attention.sliding_window", { type: "u32", value: window }] as const]),
      ...(family.parallelKey === true
        ? [["use_parallel_residual", { type: "bool", value: isParallel(spec) }] as const]
        : []),
      ...(experts !== null && family.experts?.weights === "keyed" ? routingKeys(experts, facts.leadingDense) : []),
    ],
  };
}

function isParallel({ blocks }: DecoderSpec): boolean {
  return blocks[0]?.arrangement === "parallel";
}

function expertsShape({ count, perToken, width, shared }: ExpertsSpec): ExpertsShape {
  return { count, perToken, width, shared: shared?.width ?? null };
}

/** How experts are chosen, in architectures where the file says it. */
function routingKeys({ router, shared, width }: ExpertsSpec, leadingDense: number): (readonly [string, GgufValue])[] {
  return [
    ["leading_dense_block_count", { type: "u32", value: leadingDense }],
    ["expert_shared_count", { type: "u32", value: shared === null ? 0 : Math.round(shared.width / width) }],
    ["expert_gating_func", { type: "u32", value: router.scores === "sigmoid" ? SIGMOID : SOFTMAX }],
    ["expert_weights_norm", { type: "bool", value: router.normalised !== null }],
    ["expert_weights_scale", { type: "f32", value: router.scaling }],
  ];
}

/** `llama_expert_gating_func_type`. */
const [SOFTMAX, SIGMOID] = [1, 2];

/**
 * Where llama.cpp's graph has no window, it attends to the whole context. That equals a sliding window as long as the
 * text is no longer than the window, so the window is the longest context that the file may promise. Learned positions end with their table.
 */
export function ggufContext(spec: DecoderSpec): number {
  const { attention, window } = graphFacts(spec, ggufFamily(spec.family));
  return Math.min(
    spec.maxPositions,
    window === null ? (attention.slidingWindow ?? spec.maxPositions) : spec.maxPositions,
  );
}
