import { quote } from "../../../checkpoint/json/json.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { sameTensor } from "../../../checkpoint/same-tensor.js";
import type { FolderWeights, TensorReader } from "../../../checkpoint/tensor-reader.js";
import { requireFloatNetwork } from "../../census/require-float-network.js";
import { NetworkCheckpoint } from "../../stored/network-checkpoint.js";
import type { DecoderSpec } from "./decoder-spec.js";
import { storedViews } from "./experts/stored-views.js";
import { unreadKeys } from "./keys/unread-keys.js";
import { modelSpec } from "./model-spec.js";
import { readSpec } from "./read-spec.js";
import { type ConfigContradiction, resolveConfig } from "./resolve-config.js";

/** What a model folder holds, settled: the network, and a configuration that every reader takes for this network. */
export interface ReadModel {
  readonly spec: DecoderSpec;
  readonly config: ModelConfig;
  readonly contradictions: readonly ConfigContradiction[];
  /** The checkpoint by the tensors of the network. */
  readonly checkpoint: TensorReader;
}

/**
 * Reads the network that a `config.json` and the tensors beside it describe, and makes sure that no tensor of it is missing.
 *
 * @throws ModelError for what is not computed; CheckpointError naming a tensor that is missing or has another shape
 */
export function readModel(config: ModelConfig, stored: TensorReader & Pick<FolderWeights, "readRangeSync">): ReadModel {
  const resolved = resolveConfig(config, {
    has: (name) => stored.tensors.has(name),
    same: (a, b) => sameTensor(stored, a, b),
  });
  // Whether there are biases is asked of the tensors that the network reads: those of fused Linears have names of their own.
  const checkpoint = networkReader(
    readSpec(resolved.config, (name) => stored.tensors.has(name)),
    stored,
  );
  const spec = modelSpec(resolved.config, (name) => checkpoint.tensors.has(name));
  requireFloatNetwork(checkpoint, spec);
  return {
    spec,
    ...resolved,
    contradictions: [...resolved.contradictions, ...notRead(resolved.config, spec)],
    checkpoint,
  };
}

function notRead(config: ModelConfig, { family }: DecoderSpec): readonly ConfigContradiction[] {
  const keys = unreadKeys(config);
  if (keys.length === 0) return [];
  const list = keys.map((key) => quote(key)).join(", ");
  return [
    {
      what: `config.json has ${keys.length === 1 ? "a key" : "keys"} that a network of the family ${family} does not have: ${list}`,
      next: "nothing, if transformers reads no such key for this family; else compare the perplexity of crossblock eval with that of the model's own code",
    },
  ];
}

/** Tensors of a checkpoint by what they are in the network; the checkpoint itself where that stores them as they are. */
export function networkReader(spec: DecoderSpec, checkpoint: TensorReader): TensorReader {
  const views = storedViews(spec, (name, shape) => {
    const stored = checkpoint.tensors.get(name);
    return stored !== undefined && (shape === undefined || stored.shape.join() === shape.join());
  });
  return views.size === 0 ? checkpoint : new NetworkCheckpoint(checkpoint, views);
}
