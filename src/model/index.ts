/** One generic decoder; families are tables. */
export { applyHead, type BlockLinear, Decoder, embed, type Head } from "./decoder.js";
export * from "./decoder-spec.js";
export { families } from "./families/index.js";
export { type ForwardContext, forwardBlock, type LinearApply } from "./forward-block.js";
export { KeyValueCache } from "./key-value-cache.js";
export { floatType, loadTensor, type Placement } from "./load-tensor.js";
export { networkTensors } from "./network-tensors.js";
export { normalise } from "./normalise.js";
export { type ReadModel, readModel } from "./read-model.js";
export { readSpec, tiesEmbeddings } from "./read-spec.js";
export { requireTensors } from "./require-tensors.js";
export { type ConfigContradiction, resolveConfig, type TensorFacts } from "./resolve-config.js";
export { RotaryTable, rotaryAmplitude, rotaryFrequencies } from "./rotary.js";
export { requireContext, tokenIds } from "./token-ids.js";
export {
  type BlockWeights,
  blockTensorNames,
  castBlock,
  checkpointSource,
  type EmbeddingWeights,
  type HeadWeights,
  type LinearWeights,
  loadBlock,
  loadEmbedding,
  loadHead,
  loadOuter,
  type NormWeights,
  type OuterWeights,
  type TensorSource,
} from "./weights.js";
