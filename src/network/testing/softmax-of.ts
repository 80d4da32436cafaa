import type { AttentionSpec, DecoderSpec, RotarySpec } from "../decoder/spec/decoder-spec.js";
import { blockOf } from "../decoder/spec/decoder-spec.js";

/** The softmax attention of a block. */
export function softmaxOf(spec: DecoderSpec, block = 0): AttentionSpec {
  const { attention } = blockOf(spec, block);
  if (attention.kind !== "softmax") throw new TypeError(`block ${block} has no softmax attention`);
  return attention;
}

/** The rotary positions of a block. */
export function rotaryOf(spec: DecoderSpec, block = 0): RotarySpec {
  const { rotary } = softmaxOf(spec, block);
  if (rotary === null) throw new TypeError(`block ${block} has no rotary positions`);
  return rotary;
}
