import { FormatError } from "../../../errors.js";
import type { DecoderSpec, LatentAttentionSpec, RotaryScaling, RotarySpec } from "../../../network/index.js";
import type { GgufValue } from "../file/layout.js";
import { fileAttentions, mainAttention } from "./attentions.js";
import { ggufFamily } from "./families.js";
import { windowPattern } from "./window-pattern.js";

/** Rotary embedding as GGUF expresses it. */
export interface RopeEncoding {
  /** Null where positions turn nothing. */
  readonly base: number | null;
  /** Keys below `{architecture}.`, for linear and YaRN scaling. */
  readonly keys: ReadonlyMap<string, GgufValue>;
  /** Divisors of the frequencies by the tensors that hold them: of Llama 3's scaling one, of LongRoPE's one beyond the original context. */
  readonly tables: ReadonlyMap<string, Float32Array>;
}

/** The rotary positions of a network; throws a FormatError for those that llama.cpp computes in another way. */
export function ropeEncoding(spec: DecoderSpec): RopeEncoding {
  const { rotary, windowed } = rotaries(spec);
  if (rotary === null) return { base: null, keys: new Map(), tables: new Map() };
  const encoding = encodingOf(rotary, spec.family, mainAttention(spec).latent);
  return { ...encoding, keys: new Map([...encoding.keys, ...windowKeys(rotary, windowed, spec)]) };
}

/** Of blocks that see everything, or of all; and of those with a window, in families whose files have windows. */
export function rotaries(spec: DecoderSpec): {
  readonly rotary: RotarySpec | null;
  readonly windowed: RotarySpec | null;
} {
  const attentions = fileAttentions(spec).map(({ attention }) => attention);
  const rotated = attentions.filter(({ rotary }) => rotary !== null);
  const family = ggufFamily(spec.family);
  const windows = windowPattern(spec, family) !== null || family.perKind === true;
  const windowed = windows ? (rotated.find(({ slidingWindow }) => slidingWindow !== null)?.rotary ?? null) : null;
  const rotary = rotated.find(({ slidingWindow }) => slidingWindow === null)?.rotary ?? rotated[0]?.rotary ?? null;
  return { rotary, windowed };
}

/** What llama.cpp makes of them: it rounds the bounds of YaRN's blend. */
export function asLlamaCpp(rotary: RotarySpec): RotarySpec {
  const { scaling } = rotary;
  return scaling.kind === "yarn" ? { ...rotary, scaling: { ...scaling, wholeDimensions: true } } : rotary;
}

// llama.cpp's blocks with a window turn by their own base, and are never stretched.
function windowKeys(
  rotary: RotarySpec,
  windowed: RotarySpec | null,
  { family }: DecoderSpec,
): (readonly [string, GgufValue])[] {
  if (windowed === null || windowed === rotary) return [];
  if (windowed.scaling.kind !== "none" && JSON.stringify(windowed) !== JSON.stringify(rotary)) {
    throw new FormatError({
      what: `blocks with a window have stretched positions, which llama.cpp does not have for ${family}`,
      where: "config.json",
      next: "use --format compressed-tensors",
    });
  }
  return windowed.theta === rotary.theta ? [] : [["rope.freq_base_swa", { type: "f32", value: windowed.theta }]];
}

function encodingOf(
  { theta: base, scaling, width }: RotarySpec,
  family: string,
  latent: LatentAttentionSpec | null,
): RopeEncoding {
  switch (scaling.kind) {
    case "none":
      return { base, keys: new Map(), tables: new Map() };
    case "linear":
      return { base, keys: scalingKeys("linear", scaling.factor), tables: new Map() };
    case "yarn":
      return { base, keys: yarnKeys(scaling, ggufFamily(family).roundsYarn === true, latent), tables: new Map() };
    case "llama3":
      return { base, keys: new Map(), tables: new Map([["rope_freqs.weight", llama3Factors(scaling, base, width)]]) };
    case "longrope":
    case "proportional":
      if (scaling.kind === "proportional" && ggufFamily(family).perKind === true) {
        return {
          base,
          keys: new Map(),
          tables: new Map([["rope_freqs.weight", proportionalDivisors(scaling, width)]]),
        };
      }
      if (scaling.kind === "longrope" && ggufFamily(family).longRope === true) {
        return { base, keys: longRopeKeys(scaling), tables: longRopeTables(scaling) };
      }
      throw new FormatError({
        what: `llama.cpp has no ${scaling.kind} positions for ${family}`,
        where: "config.json",
        next: "use --format compressed-tensors or onnx",
      });
  }
}

type LongRope = Extract<RotaryScaling, { kind: "longrope" }>;

// llama.cpp takes the long divisors where the context that it was given is longer than the original one.
function longRopeKeys({ amplitude, originalContext }: LongRope): Map<string, GgufValue> {
  return new Map<string, GgufValue>([
    ["rope.scaling.original_context_length", { type: "u32", value: originalContext }],
    ["rope.scaling.attn_factor", { type: "f32", value: amplitude }],
  ]);
}

function longRopeTables({ short, long }: LongRope): Map<string, Float32Array> {
  return new Map([
    ["rope_factors_long.weight", Float32Array.from(long)],
    ["rope_factors_short.weight", Float32Array.from(short)],
  ]);
}

function scalingKeys(type: string, factor: number): Map<string, GgufValue> {
  return new Map<string, GgufValue>([
    ["rope.scaling.type", { type: "string", value: type }],
    ["rope.scaling.factor", { type: "f32", value: factor }],
  ]);
}

/** What keeps a pair from turning: llama.cpp divides its frequency by this. */
const STILL = 1e30;

function proportionalDivisors(
  { turning, factor }: Extract<RotaryScaling, { kind: "proportional" }>,
  width: number,
): Float32Array {
  return Float32Array.from({ length: width / 2 }, (_, pair) => (pair < turning ? factor : STILL));
}

/**
 * What latent scores grow by with YaRN's factor, as `mscale_all_dim` says it: llama.cpp multiplies them by
 * `(0.1 growth ln factor + 1)^2`, and takes the growth of cosines and sines back.
 */
export function latentGrowth({ scale, plainDim, rotaryDim }: LatentAttentionSpec, factor: number): number {
  return (Math.sqrt(scale * Math.sqrt(plainDim + rotaryDim)) - 1) / (0.1 * Math.log(factor));
}

function yarnKeys(
  scaling: Extract<RotaryScaling, { kind: "yarn" }>,
  rounds: boolean,
  latent: LatentAttentionSpec | null,
): Map<string, GgufValue> {
  const { factor, amplitude, fastTurns, slowTurns, wholeDimensions, originalContext } = scaling;
  const growth = latent === null ? 0 : latentGrowth(latent, factor);
  if (latent !== null && !(growth > 0)) {
    throw new FormatError({
      what: "YaRN of latent attention without mscale_all_dim, which llama.cpp's deepseek2 does not compute",
      where: "config.json, rope_parameters",
      next: "use --format compressed-tensors",
    });
  }
  const expected = latent === null ? 0.1 * Math.log(factor) + 1 : 1;
  const other = !(wholeDimensions || rounds)
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
  // A tenth of it, as converters have always written it.
  if (latent !== null) keys.set("rope.scaling.yarn_log_multiplier", { type: "f32", value: 0.1 * growth });
  return keys;
}

/** Llama 3.1's frequency-dependent scaling: long waves divided by `factor`, short ones kept, a ramp in between. */
function llama3Factors(
  { factor, lowFrequencyFactor, highFrequencyFactor, originalContext }: Extract<RotaryScaling, { kind: "llama3" }>,
  base: number,
  width: number,
): Float32Array {
  return Float32Array.from({ length: width / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * base ** ((2 * i) / width);
    if (wavelength < originalContext / highFrequencyFactor) return 1;
    if (wavelength > originalContext / lowFrequencyFactor) return factor;
    const kept = (originalContext / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return 1 / ((1 - kept) / factor + kept);
  });
}
