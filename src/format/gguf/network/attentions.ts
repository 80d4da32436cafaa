import { FormatError } from "../../../errors.js";
import type { AttentionSpec, DecoderSpec, LatentAttentionSpec, ShortConvolutionSpec } from "../../../network/index.js";

/** Attention of a block, in the words of a file. */
export interface FileAttention {
  readonly block: number;
  /** Of latent attention what llama.cpp unfolds it to: keys and values of their own for every head. */
  readonly attention: AttentionSpec;
  /** Channels of a head's values. */
  readonly valueDim: number;
  readonly latent: LatentAttentionSpec | null;
}

/** Attention of the blocks that have some: of a hybrid, of those that are no delta nets. */
export function fileAttentions({ blocks }: DecoderSpec): readonly FileAttention[] {
  return blocks.flatMap(({ attention: mixer }, block): FileAttention[] => {
    if (mixer.kind === "delta" || mixer.kind === "convolution") return [];
    if (mixer.kind === "softmax") return [{ block, attention: mixer, valueDim: mixer.headDim, latent: null }];
    return [{ block, attention: unfolded(mixer), valueDim: mixer.valueDim, latent: mixer }];
  });
}

/**
 * What a file says of attention: that of the first block that has some, and that sees everything where blocks differ.
 *
 * @throws FormatError for a network of delta nets alone
 */
export function mainAttention(spec: DecoderSpec): FileAttention {
  const attentions = fileAttentions(spec);
  const main = attentions.find(({ attention }) => attention.slidingWindow === null) ?? attentions[0];
  if (main !== undefined) return main;
  throw new FormatError({
    what: "no block has attention, and GGUF describes networks by it",
    where: "config.json, layer_types",
    next: "use --format compressed-tensors",
  });
}

/** The short convolutions of a network, which are all alike; null without any. @throws FormatError for biases */
export function shortConvolution({ blocks }: DecoderSpec): ShortConvolutionSpec | null {
  const [first = null] = blocks.flatMap(({ attention }) => (attention.kind === "convolution" ? [attention] : []));
  if (first?.bias !== true) return first;
  throw new FormatError({
    what: "its short convolutions have biases, which llama.cpp's graph does not have",
    where: "config.json, conv_bias",
    next: "use --format compressed-tensors",
  });
}

function unfolded({ heads, plainDim, rotaryDim, bias, rotary, scale }: LatentAttentionSpec): AttentionSpec {
  return {
    kind: "softmax",
    heads,
    kvHeads: heads,
    headDim: plainDim + rotaryDim,
    qkvBias: bias,
    outBias: bias,
    qNorm: null,
    kNorm: null,
    vNorm: null,
    valuesAreKeys: false,
    outputGate: false,
    slidingWindow: null,
    rotary,
    alibi: false,
    scale,
    softcap: null,
    sinks: false,
  };
}
