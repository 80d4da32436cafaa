/** One generic decoder; families are tables. */

export { checkNetwork } from "./check-network.js";
export { applyHead, type BlockLinear, Decoder, embed, type Head } from "./decoder.js";
export * from "./decoder-spec.js";
export { families } from "./families/index.js";
export { type ForwardContext, forwardBlock, type LinearApply } from "./forward-block.js";
export { KeyValueCache } from "./key-value-cache.js";
export type { LeftOutReason } from "./left-out-rules.js";
export { floatType, loadTensor, type Placement } from "./load-tensor.js";
export { modelSpec } from "./model-spec.js";
export { blockTensors, networkTensors, type TensorShapes } from "./network-tensors.js";
export { normalise } from "./normalise.js";
export { type ReadModel, readModel } from "./read-model.js";
export { readSpec, tiesEmbeddings } from "./read-spec.js";
export { requireTensors } from "./require-tensors.js";
export { type ConfigContradiction, resolveConfig, type TensorFacts } from "./resolve-config.js";
export { RotaryTable, rotaryAmplitude, rotaryFrequencies } from "./rotary.js";
export { type CountedTensor, type LeftOutTensors, someNames, type TensorCensus, takeCensus } from "./tensor-census.js";
export { requireContext, tokenIds } from "./token-ids.js";
export {
  type BlockWeights,
  checkpointSource,
  type EmbeddingWeights,
  type HeadWeights,
  type LinearWeights,
  loadBlock,
  loadEmbedding,
  loadHead,
  loadOuter,
  mapBlock,
  type NormWeights,
  type OuterWeights,
  type TensorSource,
} from "./weights.js";
