import { FormatError } from "../../../errors.js";
import { type DecoderSpec, softmaxAttentionOf } from "../../../network/index.js";

/** A factor that a file has a key for, below the architecture's name. */
export type ScaleKey = readonly [key: string, value: number];

/**
 * The factors of a network as llama.cpp's graph of its architecture reads them: Granite's alone has any, and divides the logits.
 * Other graphs would leave them out without a word.
 *
 * @throws FormatError for a factor that the graph of this family does not have
 */
export function scaleKeys(spec: DecoderSpec): readonly ScaleKey[] {
  const [block] = spec.blocks;
  const attention = softmaxAttentionOf(spec, 0);
  const residual = block?.residualMultiplier ?? 1;
  const usual = 1 / Math.sqrt(attention.headDim);
  if (spec.family === "granite") {
    return [
      ["embedding_scale", spec.embedding.multiplier],
      ["residual_scale", residual],
      ["attention.scale", attention.scale],
      ["logit_scale", 1 / spec.head.multiplier],
    ];
  }
  const factors = [spec.embedding.multiplier, residual, spec.head.multiplier, attention.scale / usual];
  if (factors.every((factor) => Math.abs(factor - 1) < 1e-9)) return [];
  throw new FormatError({
    what: `a ${spec.family} with factors of its streams, which llama.cpp's graph of this family does not have`,
    where: "config.json",
    next: "use --format compressed-tensors",
  });
}

/** Blocks without positions that llama.cpp's graph of SmolLM3 expects: every so many-th. */
const SMOLLM3_STEP = 4;

/** @throws FormatError where other blocks have rotary positions than llama.cpp's graph gives them */
export function requireRotatedBlocks(spec: DecoderSpec): void {
  const step = spec.family === "smollm3" ? SMOLLM3_STEP : Number.POSITIVE_INFINITY;
  const other = spec.blocks.findIndex((_, k) => {
    const rotated = softmaxAttentionOf(spec, k).rotary !== null;
    return rotated === ((k + 1) % step === 0);
  });
  if (other < 0) return;
  throw new FormatError({
    what: `block ${other} of this ${spec.family} has ${softmaxAttentionOf(spec, other).rotary === null ? "no " : ""}rotary positions, and llama.cpp's graph expects the opposite`,
    where: "config.json",
    next: "use --format compressed-tensors",
  });
}
