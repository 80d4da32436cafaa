/**
 * crossblock quantizes language models from TypeScript.
 *
 * `quantize` writes a result, `evaluate`, `compareModels` and `evaluateChoices` measure it, `loadModel` computes with it. All numeric work
 * runs in a worker thread on libtorch; nothing here blocks the event loop.
 */
export {
  CalibrationError,
  CheckpointError,
  CrossblockError,
  EnvironmentError,
  type ErrorDetails,
  FormatError,
  InputError,
  ModelError,
  OptionError,
} from "./errors.js";
export { EngineError } from "./run/engine-error.js";
export type {
  AlreadyThereEvent,
  BranchLoss,
  CalibrateEvent,
  CertifiedEvent,
  ChoicesEvent,
  ContinuedEvent,
  DisagreementEvent,
  DoneEvent,
  ExportEvent,
  ExportedEvent,
  ExportingEvent,
  ExportPlanEvent,
  LayerError,
  PerplexityEvent,
  PlanEvent,
  PlannedFile,
  ProgressEvent,
  QuantizeEvent,
  ReferenceEvent,
  ReplacedEvent,
  ReportEvent,
  StepEvent,
  TensorLoss,
  VerifiedEvent,
  VerifyEvent,
  WarningEvent,
  WindowDoneEvent,
  WindowStartEvent,
  WorkEvent,
} from "./run/events.js";
export { type ExportResultInput, exportResult } from "./run/export-result.js";
export { inspect } from "./run/inspect.js";
export type { InspectedTensor, Inspection } from "./run/inspection.js";
export {
  type ChoicesOptions,
  type CompareOptions,
  compareModels,
  type EvaluateOptions,
  evaluate,
  evaluateChoices,
  type GenerateOptions,
  type LoadOptions,
  type Logits,
  loadModel,
  type Model,
} from "./run/model.js";
export { type QuantizeOptions, quantize } from "./run/quantize.js";
export type { Certificate, CertifiedTensor, ExportCertificate, RuntimeVerdict } from "./run/verify/certificate.js";
export { type VerifyInput, verifyResult } from "./run/verify/verify-result.js";
export { TensorError } from "./tensor/tensor-error.js";
