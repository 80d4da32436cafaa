/** Networks as units, and the decoder, whose families are tables. */

export { inputRows, multiplied } from "./apply-linear.js";
export type { LeftOutReason } from "./census/left-out-rules.js";
export { requireFloatNetwork } from "./census/require-float-network.js";
export { requireTensors } from "./census/require-tensors.js";
export {
  type CountedTensor,
  type LeftOutTensors,
  someNames,
  type TensorCensus,
  takeCensus,
} from "./census/tensor-census.js";
export { type ForwardContext, forwardBlock } from "./decoder/block/forward-block.js";
export { KeyValueCache } from "./decoder/block/key-value-cache.js";
export { normalise } from "./decoder/block/normalise.js";
export { RotaryTable, rotaryAmplitude, rotaryFrequencies } from "./decoder/block/rotary.js";
export { applyHead, type BlockLinear, Decoder, embed, type Head } from "./decoder/decoder.js";
export { DecoderNetwork } from "./decoder/decoder-network.js";
export { decoderUnits } from "./decoder/decoder-units.js";
export { families } from "./decoder/families/index.js";
export * from "./decoder/spec/decoder-spec.js";
export { modelSpec } from "./decoder/spec/model-spec.js";
export { networkTensors } from "./decoder/spec/network-tensors.js";
export { type ReadModel, readModel } from "./decoder/spec/read-model.js";
export { readSpec, tiesEmbeddings } from "./decoder/spec/read-spec.js";
export { type ConfigContradiction, resolveConfig, type TensorFacts } from "./decoder/spec/resolve-config.js";
export { requireContext, tokenIds } from "./decoder/token-ids.js";
export {
  type EmbeddingWeights,
  type HeadWeights,
  loadEmbedding,
  loadHead,
  loadOuter,
  type OuterWeights,
} from "./decoder/weights.js";
export { constantTensor } from "./graph/compute/constant-tensor.js";
export type { Graph, GraphConstant, GraphNode } from "./graph/graph.js";
export { type GraphExamples, GraphNetwork } from "./graph/graph-network.js";
export { GraphTensors } from "./graph/graph-tensors.js";
export { readGraph } from "./graph/read-graph.js";
export { type CutGraph, cutGraph, type GraphUnit } from "./graph/units/graph-units.js";
export type { GraphLayer } from "./graph/units/layers.js";
export { InitialWeights } from "./initial-weights.js";
export { floatType, loadTensor, type Placement } from "./load-tensor.js";
export type { Network, NetworkEnd, NetworkStart, OpenNetwork } from "./network.js";
export { checkpointSource, type TensorSource } from "./owned-weights.js";
export { firstConsumer, foldedLayers, type Passage, type Site, siteOf } from "./site.js";
export {
  type AttentionPlan,
  type AttentionValues,
  type HeadNorm,
  type Hooks,
  type LayerPlan,
  layerOf,
  type NormPlan,
  normOf,
  type Ports,
  type RunUnit,
  type UnitPlan,
} from "./unit.js";
export {
  type LinearWeights,
  linearOf,
  loadUnit,
  mapUnit,
  type NormWeights,
  normWeights,
  type OwnedUnitWeights,
  type TensorShapes,
  type UnitWeights,
  unitTensors,
} from "./unit-weights.js";
