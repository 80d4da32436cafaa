/** One generic decoder; families are tables. */
export { applyHead, type BlockLinear, Decoder, embed, type Head } from "./decoder.js";
export * from "./decoder-spec.js";
export { families } from "./families/index.js";
export { type ForwardContext, forwardBlock, type LinearApply } from "./forward-block.js";
export { KeyValueCache } from "./key-value-cache.js";
export { floatType, loadTensor, type Placement } from "./load-tensor.js";
export { normalise } from "./normalise.js";
export { readSpec } from "./read-spec.js";
export { RotaryTable, rotaryFrequencies } from "./rotary.js";
export { requireContext, tokenIds } from "./token-ids.js";
export {
  type BlockWeights,
  blockTensorNames,
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
