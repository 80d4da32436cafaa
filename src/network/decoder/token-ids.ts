import { CalibrationError } from "../../errors.js";
import { type Device, scope, Tensor } from "../../tensor/index.js";
import type { DecoderSpec } from "./spec/decoder-spec.js";

/**
 * Token ids as the decoder takes them, int64 `[batch, time]`, row by row.
 *
 * @throws CalibrationError when an id is outside the vocabulary, or the sequences are longer than the model was made for
 */
export function tokenIds(
  spec: DecoderSpec,
  ids: Int32Array,
  [batch, time]: readonly [batch: number, time: number],
  device: Device,
): Tensor {
  const outside = ids.find((id) => id < 0 || id >= spec.vocabSize);
  if (outside !== undefined) {
    throw new CalibrationError({
      what: `the token id ${outside} is outside the model's vocabulary of ${spec.vocabSize}`,
      why: "the tokenizer doesn't belong to these weights",
      next: "use the tokenizer.json and the config.json of one download",
    });
  }
  requireContext(spec, time);
  return scope(() => Tensor.from(ids, [batch, time]).to("int64").to(device));
}

/** @throws CalibrationError when the model was not made for sequences of `time` tokens */
export function requireContext(spec: DecoderSpec, time: number): void {
  if (time <= spec.maxPositions) return;
  throw new CalibrationError({
    what: `a sequence of ${time} tokens is longer than the ${spec.maxPositions} that the model was made for`,
    why: "max_position_embeddings in config.json",
    next: `use --context ${spec.maxPositions} or less`,
  });
}
