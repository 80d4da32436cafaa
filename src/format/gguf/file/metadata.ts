import type { ModelShape } from "../network/model-shape.js";
import type { RopeEncoding } from "../network/rope-scaling.js";
import { FILE_TYPES, type FloatType, type GgufValue, type QuantizedType } from "./layout.js";

const text = (value: string): GgufValue => ({ type: "string", value });
const u32 = (value: number): GgufValue => ({ type: "u32", value });
const f32 = (value: number): GgufValue => ({ type: "f32", value });

const countOf = (value: number | readonly number[]): GgufValue =>
  typeof value === "number" ? u32(value) : { type: "array", element: "u32", values: value };

/** What the metadata says beyond the model's shape. */
export interface MetadataFacts {
  /** The model's name. */
  readonly name: string;
  /** Type of most of the weights. */
  readonly mainType: QuantizedType | FloatType;
  /** True when any tensor is Q2_0, which older readers do not know. */
  readonly hasQ2: boolean;
  /** Sentences on what the file can't express, for whoever has nothing but the file. */
  readonly notes: readonly string[];
}

/** All keys except those of the tokenizer, in the order of the file. */
export function modelMetadata(shape: ModelShape, rope: RopeEncoding, facts: MetadataFacts): Map<string, GgufValue> {
  const { architecture } = shape.family;
  const metadata = new Map<string, GgufValue>([
    ["general.architecture", text(architecture)],
    ["general.type", text("model")],
    ["general.name", text(facts.name)],
    ["general.description", text(description(facts))],
    ["general.file_type", u32(FILE_TYPES[facts.mainType])],
    ["general.quantization_version", u32(2)],
  ]);
  const own: readonly (readonly [string, GgufValue])[] = [
    ["block_count", u32(shape.layers)],
    ["context_length", u32(shape.contextLength)],
    ["embedding_length", u32(shape.hidden)],
    ["feed_forward_length", u32(shape.feedForward)],
    ["attention.head_count", u32(shape.heads)],
    ["attention.head_count_kv", countOf(shape.keyValueHeads)],
    [`attention.layer_norm_${shape.norm === "rms" ? "rms_" : ""}epsilon`, f32(shape.normEpsilon)],
    ["attention.key_length", u32(shape.headDim)],
    ["attention.value_length", u32(shape.valueDim)],
    ["vocab_size", u32(shape.vocabulary)],
    // Without it llama.cpp assumes 10000, silently.
    ...(rope.base === null ? [] : ([["rope.freq_base", f32(rope.base)]] as const)),
    ...(shape.rotaryWidth === null ? [] : ([["rope.dimension_count", u32(shape.rotaryWidth)]] as const)),
    ...rope.keys,
    ...shape.own,
    ...expertKeys(shape.experts),
    ...shape.scales.map(([key, value]): [string, GgufValue] => [key, f32(value)]),
  ];
  for (const [key, value] of own) metadata.set(`${architecture}.${key}`, value);
  return metadata;
}

function expertKeys(experts: ModelShape["experts"]): (readonly [string, GgufValue])[] {
  if (experts === null) return [];
  const { count, perToken, width, shared } = experts;
  return [
    ["expert_count", u32(count)],
    ["expert_used_count", u32(perToken)],
    ["expert_feed_forward_length", u32(width)],
    ...(shared === null ? [] : ([["expert_shared_feed_forward_length", u32(shared)]] as const)),
  ];
}

function description({ hasQ2, notes }: MetadataFacts): string {
  const sentences = ["Written by crossblock."];
  // A fork gives the type number 42 to blocks of 128 elements and would read garbage.
  if (hasQ2) sentences.push("Needs upstream llama.cpp build 9916 or later (Q2_0 with blocks of 64).");
  return [...sentences, ...notes].join(" ");
}
