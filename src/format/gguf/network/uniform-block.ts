import { FormatError } from "../../../errors.js";
import { type AttentionSpec, blockOf, type DecoderSpec, type MlpSpec } from "../../../network/index.js";

/** What a GGUF file says once for all blocks. */
export interface UniformBlock {
  readonly attention: AttentionSpec;
  readonly mlp: MlpSpec;
}

/** The sizes that all blocks share. @throws FormatError where they differ, or are of another kind */
export function uniformBlock(spec: DecoderSpec): UniformBlock {
  const { attention, mlp } = blockOf(spec, 0);
  const refuse = (what: string): FormatError =>
    new FormatError({ what, where: "config.json", next: "use --format compressed-tensors" });
  if (attention.kind !== "softmax") throw refuse("GGUF is not written for blocks of this kind of attention");
  if (spec.blocks.some((block) => JSON.stringify(block.mlp) !== JSON.stringify(mlp))) {
    throw refuse("GGUF is not written for this family where some blocks have experts and others none");
  }
  return { attention, mlp };
}
