import { FormatError } from "../../../errors.js";
import { type AttentionSpec, blockOf, type DecoderSpec, type DenseMlpSpec } from "../../../network/index.js";

/** What a GGUF file says once for all blocks. */
export interface UniformBlock {
  readonly attention: AttentionSpec;
  readonly mlp: DenseMlpSpec;
}

/** The sizes that all blocks share. @throws FormatError where they differ, or are of another kind */
export function uniformBlock(spec: DecoderSpec): UniformBlock {
  const { attention, mlp } = blockOf(spec, 0);
  if (attention.kind !== "softmax") {
    throw new FormatError({
      what: "GGUF is not written for blocks of this kind of attention",
      where: "config.json",
      next: "use --format compressed-tensors",
    });
  }
  return { attention, mlp };
}
