/** libtorch for TypeScript: tensors, autograd, ownership. Knows no model. */
export { Adam, type AdamOptions, type Bounds, type ParameterGroup } from "./adam.js";
export { backward, differentiable, enableGrad, gradientsOf, noGrad } from "./autograd.js";
export { DeterministicOperators, fixWorkspaces } from "./deterministic.js";
export type { Device } from "./device.js";
export { DeviceGraph, useOwnStream } from "./device-graph.js";
export { hasKernel, hasOperator, type Value } from "./dispatch.js";
export { type DType, dtypeCode, elementSize, type TypedArray } from "./dtype.js";
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
} from "./engine.js";
export {
  type Fp8Matrix,
  fitsFp8,
  hasFp8Products,
  linearWithFp8Gradients,
  magnitudeOf,
  toFp8,
} from "./fp8-linear.js";
export { Generator } from "./generator.js";
export { MemoryLimit } from "./memory-limit.js";
export type { Shape } from "./owned-tensor.js";
export { type FileRange, readAhead } from "./read-ahead.js";
export { freeOnError, keep, scope } from "./scope.js";
export { call, callInPlace, callTensor, callTensors, type Result, Tensor, type TensorOptions } from "./tensor.js";
export { isOutOfMemory, TensorError } from "./tensor-error.js";
export { letThreadsSleep } from "./thread-defaults.js";
