/** libtorch for TypeScript: tensors, autograd, ownership. Knows no model. */
export { Adam, type AdamOptions, type Bounds, type ParameterGroup } from "./adam.js";
export { backward, differentiable, enableGrad, gradientsOf, noGrad } from "./autograd.js";
export { call, callInPlace, callTensor, callTensors, type Result } from "./call.js";
export { DeviceGraph, useOwnStream } from "./device-graph.js";
export { type DType, dtypeCode, elementSize, type TypedArray } from "./dtype.js";
export { DeterministicOperators, fixWorkspaces } from "./engine/deterministic.js";
export type { Device } from "./engine/device.js";
export { hasKernel, hasOperator, type Value } from "./engine/dispatch.js";
export {
  deviceMemory,
  type EngineInfo,
  engineInfo,
  liveHandles,
  manualSeed,
  releaseCachedMemory,
  resetPeakMemory,
  setThreads,
  synchronize,
} from "./engine/engine.js";
export { Generator } from "./engine/generator.js";
export { MemoryLimit } from "./engine/memory-limit.js";
export { type FileRange, readAhead } from "./engine/read-ahead.js";
export { letThreadsSleep } from "./engine/thread-defaults.js";
export { allFinite, isFiniteTensor } from "./finite.js";
export {
  type Fp8Matrix,
  fitsFp8,
  hasFp8Products,
  linearWithFp8Gradients,
  magnitudeOf,
  toFp8,
} from "./fp8-linear.js";
export { groupedLinear, groupsAtOnce } from "./grouped/grouped-linear.js";
export { groupSizes, type RowGroups, rowGroups } from "./grouped/row-groups.js";
export { numbersIn, type Shape } from "./owned-tensor.js";
export { freeOnError, keep, scope } from "./scope.js";
export { Tensor, type TensorOptions } from "./tensor.js";
export { isOutOfMemory, TensorError } from "./tensor-error.js";
