import {
  type ModelConfig,
  optionalCount,
  optionalNumber,
  optionalObject,
  requireCount,
} from "../../../checkpoint/model-config.js";
import { ModelError } from "../../../errors.js";
import type { BlockKind, Family } from "../families/family.js";
import type { AttentionSpec, HeadNormSpec, NormSpec, RotarySpec } from "./decoder-spec.js";
import { booleanFact, capFact, positiveFact } from "./read-facts.js";
import type { BlockKinds } from "./read-kinds.js";
import { readRotary, rotaryParameters } from "./read-rotary.js";
import { unsupportedKey } from "./unsupported-key.js";

/** What the attention of one block is read from. */
export interface AttentionOf {
  readonly family: Family;
  readonly hiddenSize: number;
  readonly maxPositions: number;
  /** Of the stream. */
  readonly norm: NormSpec;
  readonly kinds: BlockKinds;
  readonly block: number;
  readonly kind: BlockKind;
  /** Whether the block has rotary positions. */
  readonly rotated: boolean;
}

/** @throws ModelError naming the key that is missing, or the sizes that do not fit */
export function readAttention(config: ModelConfig, of: AttentionOf): AttentionSpec {
  const { family, kind, norm } = of;
  const { keys, attention } = family;
  const full = kind === "full_attention" ? attention.full : undefined;
  const valuesAreKeys = full !== undefined && booleanFact(config, full.valuesAreKeys);
  const { heads, kvHeads, headDim } = readHeads(config, of, valuesAreKeys);
  const headNorm = (gain: NormSpec["gain"], over: HeadNormSpec["over"]): HeadNormSpec => ({
    kind: "rms",
    eps: norm.eps,
    gain,
    bias: false,
    over,
  });
  const over =
    typeof attention.qkNorm === "object" ? booleanFact(config, attention.qkNorm) && "head" : attention.qkNorm;
  const qkNorm = over === false ? null : headNorm(norm.gain, over);
  if (heads % kvHeads !== 0 || !Number.isInteger(headDim)) {
    throw new ModelError({
      where: "config.json",
      what: `${heads} heads and ${kvHeads} key-value heads do not fit a hidden size of ${of.hiddenSize}`,
      next: `check ${keys.heads}, ${keys.kvHeads ?? keys.heads} and ${keys.hiddenSize}`,
    });
  }
  const { scale } = attention;
  const plain = scale === undefined || (scale.absentIsRoot === true && !positiveFact(config, scale.fact));
  const factor = plain ? headDim : positiveFact(config, scale.fact);
  return {
    kind: "softmax",
    heads,
    kvHeads,
    headDim,
    qkvBias: booleanFact(config, attention.qkvBias),
    outBias: booleanFact(config, attention.outBias),
    qNorm: qkNorm,
    kNorm: qkNorm,
    vNorm: attention.valueNorm === true ? headNorm("none", "head") : null,
    valuesAreKeys,
    outputGate: attention.outputGate === true,
    ...(of.rotated && attention.positionedNorm !== undefined && booleanFact(config, attention.positionedNorm)
      ? { positionedNorm: { kind: "rms", eps: norm.eps, gain: "none", bias: false } as const }
      : {}),
    slidingWindow: kind === "sliding_attention" ? of.kinds.window : null,
    ...(kind === "chunked_attention" &&
      attention.chunk !== undefined && {
        chunk: optionalCount(config, attention.chunk.key) ?? attention.chunk.default,
      }),
    ...(qkNorm !== null && attention.normsBehindPositions === true && { normsBehindPositions: true as const }),
    ...temperatureOf(config, of),
    rotary: rotaryOf(config, of, headDim),
    alibi: family.positions === "alibi",
    scale: plain || scale.inverseRoot === true ? 1 / Math.sqrt(factor) : factor,
    softcap: capFact(config, attention.softcap),
    sinks: attention.sinks === true,
  };
}

function temperatureOf(
  config: ModelConfig,
  { family, rotated }: AttentionOf,
): Pick<AttentionSpec, "temperature"> | null {
  const { temperature } = family.attention;
  if (temperature === undefined) return null;
  if ("rotary" in temperature) {
    const { parameters } = rotaryParameters(config, family.rotary);
    const [floor, scale] = [
      optionalCount(parameters, temperature.floor),
      optionalNumber(parameters, temperature.scale),
    ];
    return floor === undefined || !scale ? null : { temperature: { floor, scale, first: 0 } };
  }
  if (rotated || !booleanFact(config, temperature.enabledBy)) return null;
  const [floor, scale] = [positiveFact(config, temperature.floor), positiveFact(config, temperature.scale)];
  return { temperature: { floor, scale, first: 1 } };
}

function rotaryOf(
  config: ModelConfig,
  { family, kind, rotated, maxPositions }: AttentionOf,
  headDim: number,
): RotarySpec | null {
  if (family.positions !== "rotary" || !rotated) return null;
  return readRotary(config, { keys: family.rotary ?? {}, kind, headDim, maxPositions });
}

interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

function readHeads(
  config: ModelConfig,
  { family, hiddenSize, block, kind }: AttentionOf,
  valuesAreKeys: boolean,
): Heads {
  const { keys, defaults, attention } = family;
  const heads = requireCount(config, keys.heads);
  const kvHeads = (keys.kvHeads === null ? undefined : readKvHeads(config, keys.kvHeads, defaults.kvHeads)) ?? heads;
  const headDim =
    (keys.headDim === null ? undefined : optionalCount(config, keys.headDim)) ?? defaults.headDim ?? hiddenSize / heads;
  // Where the configuration knows no such key, transformers takes it for the positions alone.
  if (keys.headDim === null && family.positions === "rotary") requireHeadDim(config, headDim);
  const perBlock = attention.perBlock === undefined ? undefined : optionalObject(config, attention.perBlock);
  if (perBlock !== undefined) {
    const own = optionalObject(perBlock, String(block)) ?? {};
    return {
      heads,
      kvHeads: optionalCount(own, "num_key_value_heads") ?? kvHeads,
      headDim: optionalCount(own, "head_dim") ?? headDim,
    };
  }
  const full = kind === "full_attention" ? attention.full : undefined;
  if (full === undefined) return { heads, kvHeads, headDim };
  return {
    heads,
    kvHeads: (valuesAreKeys ? optionalCount(config, full.kvHeads) : undefined) ?? kvHeads,
    headDim: optionalCount(config, full.headDim.key) ?? full.headDim.default,
  };
}

function requireHeadDim(config: ModelConfig, headDim: number): void {
  const said = optionalCount(config, "head_dim");
  if (said !== undefined && said !== headDim) throw unsupportedKey("head_dim", String(said), String(headDim));
}

// Where the class has a number of its own, an absent key means that, and a null as many as heads.
function readKvHeads(config: ModelConfig, key: string, absent: number | null): number | undefined {
  return optionalCount(config, key) ?? (config[key] === null ? undefined : (absent ?? undefined));
}
