import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { sameTensor } from "../../../checkpoint/same-tensor.js";
import type { FolderWeights } from "../../../checkpoint/tensor-reader.js";
import { requireFloatNetwork } from "../../census/require-float-network.js";
import type { DecoderSpec } from "./decoder-spec.js";
import { modelSpec } from "./model-spec.js";
import { type ConfigContradiction, resolveConfig } from "./resolve-config.js";

/** What a model folder holds, settled: the network, and a configuration that every reader takes for this network. */
export interface ReadModel {
  readonly spec: DecoderSpec;
  readonly config: ModelConfig;
  readonly contradictions: readonly ConfigContradiction[];
}

/**
 * Reads the network that a `config.json` and the tensors beside it describe, and makes sure that no tensor of it is missing.
 *
 * @throws ModelError for what is not computed; CheckpointError naming a tensor that is missing or has another shape
 */
export function readModel(
  config: ModelConfig,
  checkpoint: Pick<FolderWeights, "folder" | "tensors" | "readRangeSync">,
): ReadModel {
  const resolved = resolveConfig(config, {
    has: (name) => checkpoint.tensors.has(name),
    same: (a, b) => sameTensor(checkpoint, a, b),
  });
  const spec = modelSpec(resolved.config, (name) => checkpoint.tensors.has(name));
  requireFloatNetwork(checkpoint, spec);
  return { spec, ...resolved };
}
