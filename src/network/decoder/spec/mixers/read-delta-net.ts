import { type ModelConfig, optionalCount } from "../../../../checkpoint/model-config.js";
import type { Family } from "../../families/family.js";
import type { DeltaNetSpec, NormSpec } from "../decoder-spec.js";
import { readActivation } from "../experts/read-mlps.js";
import { unsupportedKey } from "../unsupported-key.js";

/** @throws ModelError for heads that do not fit each other */
export function readDeltaNet(config: ModelConfig, family: Family, norm: NormSpec): DeltaNetSpec {
  const activation = readActivation(config, family);
  if (activation === "xielu") throw unsupportedKey(family.keys.activation, activation, "another");
  const count = (key: string, absent: number): number => optionalCount(config, key) ?? absent;
  const keyHeads = count("linear_num_key_heads", 16);
  const valueHeads = count("linear_num_value_heads", 32);
  if (valueHeads % keyHeads !== 0) {
    throw unsupportedKey(
      "linear_num_value_heads",
      String(valueHeads),
      `a multiple of linear_num_key_heads (${keyHeads})`,
    );
  }
  return {
    kind: "delta",
    keyHeads,
    valueHeads,
    keyDim: count("linear_key_head_dim", 128),
    valueDim: count("linear_value_head_dim", 128),
    kernel: count("linear_conv_kernel_dim", 4),
    activation,
    fusedInputs: family.delta?.fusedInputs === true,
    // Its gains are what they are, also where those of the stream are stored less one.
    norm: { ...norm, gain: "w" },
  };
}
