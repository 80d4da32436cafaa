import { FormatError } from "../../../errors.js";
import {
  type AttentionSpec,
  blockOf,
  type DecoderSpec,
  type MlpSpec,
  softmaxAttentionOf,
} from "../../../network/index.js";

/** What a GGUF file says once for all blocks. */
export interface UniformBlock {
  readonly attention: AttentionSpec;
  readonly mlp: MlpSpec;
}

/** The sizes that all blocks share. @throws FormatError where they differ */
export function uniformBlock(spec: DecoderSpec): UniformBlock {
  const attention = softmaxAttentionOf(spec, 0);
  const { mlp } = blockOf(spec, 0);
  const refuse = (what: string): FormatError =>
    new FormatError({ what, where: "config.json", next: "use --format compressed-tensors" });
  if (spec.blocks.some((block) => JSON.stringify(block.mlp) !== JSON.stringify(mlp))) {
    throw refuse("GGUF is not written for this family where the MLPs of its blocks differ, as where some have experts");
  }
  const differing = spec.blocks.findIndex((_, k) => {
    const other = softmaxAttentionOf(spec, k);
    return (["heads", "kvHeads", "headDim", "slidingWindow"] as const).some((key) => other[key] !== attention[key]);
  });
  if (differing < 0) return { attention, mlp };
  throw refuse(`block ${differing} has other heads or another window than block 0, and the file would say one for all`);
}
