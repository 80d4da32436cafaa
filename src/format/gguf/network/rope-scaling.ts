import { FormatError } from "../../../errors.js";
import type { DecoderSpec, RotaryScaling } from "../../../network/index.js";
import type { GgufValue } from "../file/layout.js";
import { uniformBlock } from "./uniform-block.js";

/** Rotary embedding as GGUF expresses it. */
export interface RopeEncoding {
  readonly base: number;
  /** Keys below `{architecture}.`, for linear and YaRN scaling. */
  readonly keys: ReadonlyMap<string, GgufValue>;
  /** Divisors of the `headDim / 2` frequencies, for `rope_freqs.weight`; null unless Llama 3's scaling is on. */
  readonly factors: Float32Array | null;
}

/** The rotary positions of a network; throws a FormatError for those that llama.cpp computes in another way. */
export function ropeEncoding(spec: DecoderSpec): RopeEncoding {
  const { rotary, headDim } = uniformBlock(spec).attention;
  if (rotary === null) {
    throw new FormatError({
      what: `llama.cpp has no learned positions for ${spec.family}`,
      where: "config.json",
      next: "use --format compressed-tensors or onnx",
    });
  }
  const { theta: base, scaling } = rotary;
  switch (scaling.kind) {
    case "none":
      return { base, keys: new Map(), factors: null };
    case "linear":
      return { base, keys: scalingKeys("linear", scaling.factor), factors: null };
    case "yarn":
      return { base, keys: yarnKeys(scaling), factors: null };
    case "llama3":
      return { base, keys: new Map(), factors: llama3Factors(scaling, base, headDim) };
    case "longrope":
    case "proportional":
      throw new FormatError({
        what: `llama.cpp has no ${scaling.kind} positions for ${spec.family}`,
        where: "config.json",
        next: "use --format compressed-tensors or onnx",
      });
  }
}

function scalingKeys(type: string, factor: number): Map<string, GgufValue> {
  return new Map<string, GgufValue>([
    ["rope.scaling.type", { type: "string", value: type }],
    ["rope.scaling.factor", { type: "f32", value: factor }],
  ]);
}

function yarnKeys(scaling: Extract<RotaryScaling, { kind: "yarn" }>): Map<string, GgufValue> {
  const { factor, amplitude, fastTurns, slowTurns, wholeDimensions, originalContext } = scaling;
  const expected = 0.1 * Math.log(factor) + 1;
  const other = !wholeDimensions
    ? "with bounds that are not rounded (truncate false)"
    : Math.abs(amplitude - expected) > 1e-6
      ? `with an attention_factor of ${amplitude.toFixed(4)}, where llama.cpp computes ${expected.toFixed(4)} from the factor`
      : null;
  if (other !== null) {
    throw new FormatError({
      what: `YaRN ${other}`,
      where: "config.json, rope_parameters",
      next: "use --format compressed-tensors or onnx",
    });
  }
  const keys = scalingKeys("yarn", factor);
  keys.set("rope.scaling.original_context_length", { type: "u32", value: originalContext });
  keys.set("rope.scaling.yarn_beta_fast", { type: "f32", value: fastTurns });
  keys.set("rope.scaling.yarn_beta_slow", { type: "f32", value: slowTurns });
  return keys;
}

/** Llama 3.1's frequency-dependent scaling: long waves divided by `factor`, short ones kept, a ramp in between. */
function llama3Factors(
  { factor, lowFrequencyFactor, highFrequencyFactor, originalContext }: Extract<RotaryScaling, { kind: "llama3" }>,
  base: number,
  headDim: number,
): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * base ** ((2 * i) / headDim);
    if (wavelength < originalContext / highFrequencyFactor) return 1;
    if (wavelength > originalContext / lowFrequencyFactor) return factor;
    const kept = (originalContext / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return 1 / ((1 - kept) / factor + kept);
  });
}
