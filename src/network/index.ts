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
export { BlockCache } from "./decoder/block/cache/block-cache.js";
export { forwardBlock } from "./decoder/block/forward-block.js";
export type { ForwardContext } from "./decoder/block/forward-context.js";

export { normalise } from "./decoder/block/normalise.js";
export { rotaryAmplitude, rotaryFrequencies } from "./decoder/block/rotary/rotary-frequencies.js";
export { RotaryTables } from "./decoder/block/rotary/rotary-tables.js";
export { applyHead, type BlockLinear, Decoder, embed, type Head } from "./decoder/decoder.js";
export { DecoderNetwork } from "./decoder/decoder-network.js";
export { decoderUnits } from "./decoder/decoder-units.js";
export { families } from "./decoder/families/index.js";
export { rotationObstacle } from "./decoder/plan/rotation-obstacle.js";
export * from "./decoder/spec/decoder-spec.js";
export { codedViews, storedViews } from "./decoder/spec/experts/stored-views.js";
export { modelSpec } from "./decoder/spec/model-spec.js";
export { networkTensors } from "./decoder/spec/network-tensors.js";
export { hasNormMatrices, specWithNormMatrices, withNormMatrices } from "./decoder/spec/norm-matrices.js";
export { networkReader, type ReadModel, readModel } from "./decoder/spec/read-model.js";
export { readSpec, requireFamily, tiesEmbeddings } from "./decoder/spec/read-spec.js";
export { type ConfigContradiction, resolveConfig, type TensorFacts } from "./decoder/spec/resolve-config.js";
export { hasTower, textConfig } from "./decoder/spec/tower/text-tower.js";
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
export { GraphRunner } from "./graph/compute/run-graph.js";
export { exampleShapes } from "./graph/example-shapes.js";
export type { Graph, GraphConstant, GraphNode } from "./graph/graph.js";
export { type GraphExamples, GraphNetwork } from "./graph/graph-network.js";
export { GraphTensors } from "./graph/graph-tensors.js";
export { readGraph } from "./graph/read-graph.js";
export { type CutGraph, cutGraph, type GraphUnit } from "./graph/units/graph-units.js";
export type { GraphLayer } from "./graph/units/layers.js";
export { weightOfRows } from "./graph/units/weight-rows.js";
export { InitialWeights } from "./initial-weights.js";
export { floatType, loadTensor, type Placement } from "./load-tensor.js";
export type { Network, NetworkEnd, NetworkStart, OpenNetwork } from "./network.js";
export { checkpointSource, type TensorSource } from "./owned-weights.js";
export { firstConsumer, foldedLayers, type Passage, readersOf, type Site, siteOf, standsFor } from "./site.js";
export { NetworkCheckpoint } from "./stored/network-checkpoint.js";
export {
  joinRows,
  readView,
  rowsEach,
  type StoredView,
  type StoredViews,
  takeRows,
  writeStored,
} from "./stored/stored-view.js";
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
  type TensorPlan,
  type UnitPlan,
} from "./unit.js";
export {
  gainsOf,
  type LinearWeights,
  linearOf,
  loadUnit,
  mapUnit,
  type NormWeights,
  normWeights,
  type OwnedUnitWeights,
  type TensorShapes,
  tensorOf,
  type UnitWeights,
  unitTensors,
} from "./unit-weights.js";
