import {
  type AttentionSpec,
  type DecoderSpec,
  type RotarySpec,
  softmaxAttentionOf,
} from "../decoder/spec/decoder-spec.js";

/** The softmax attention of the first block. */
export function softmaxOf(spec: DecoderSpec, block = 0): AttentionSpec {
  return softmaxAttentionOf(spec, block);
}

/** The rotary positions of a block. */
export function rotaryOf(spec: DecoderSpec, block = 0): RotarySpec {
  const { rotary } = softmaxOf(spec, block);
  if (rotary === null) throw new TypeError(`block ${block} has no rotary positions`);
  return rotary;
}
