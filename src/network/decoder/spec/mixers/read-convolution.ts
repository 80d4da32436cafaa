import type { ModelConfig } from "../../../../checkpoint/model-config.js";
import type { Family } from "../../families/family.js";
import type { ShortConvolutionSpec } from "../decoder-spec.js";
import { booleanFact, countFact } from "../read-facts.js";

/** The short convolution that a block of the kind `conv` is. */
export function readConvolution(
  config: ModelConfig,
  { modelType, convolution }: Family,
  hiddenSize: number,
): ShortConvolutionSpec {
  if (convolution === undefined) throw new TypeError(`${modelType} has no convolutions`);
  return {
    kind: "convolution",
    channels: hiddenSize,
    kernel: countFact(config, convolution.kernel),
    bias: booleanFact(config, convolution.bias),
  };
}
