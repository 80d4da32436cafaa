/// <reference lib="esnext.disposable" preserve="true" />

/**
 * crossblock quantizes language models and ONNX networks from TypeScript.
 *
 * `quantize` writes a result, `evaluate`, `compareModels`, `evaluateChoices` and `evaluateImages` measure it, `loadModel` computes with it. All numeric work
 * runs in a worker thread on libtorch; nothing here blocks the event loop.
 */
import "./require-node.js";

export { type EvaluateImagesOptions, evaluateImages } from "./api/evaluate-images.js";
export { type ExportResultInput, exportResult } from "./api/export-result.js";
export type * from "./api/generated/quantize-options.js";
export { type InspectOptions, inspect } from "./api/inspect.js";
export {
  type AnswerOptions,
  type ChatMessage,
  type ChoicesOptions,
  type CompareOptions,
  compareModels,
  type EvaluateOptions,
  evaluate,
  evaluateChoices,
  type Generated,
  type GenerateOptions,
  type LoadOptions,
  type Logits,
  loadModel,
  type Model,
} from "./api/model.js";
export { type PushInput, pushResult } from "./api/push-result.js";
export { quantize } from "./api/quantize.js";
export { type VerifyInput, verifyResult } from "./api/verify-result.js";
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
export type { SchemeName } from "./quant/scheme.js";
export { EngineError } from "./run/engine/engine-error.js";
export type {
  AlreadyThereEvent,
  BranchLoss,
  CalibrateEvent,
  CensusRecord,
  CertifiedEvent,
  ChoicesEvent,
  ContinuedEvent,
  DisagreementEvent,
  DoneEvent,
  ExportEvent,
  ExportedEvent,
  ExportingEvent,
  ExportPlanEvent,
  ImagesEvent,
  LayerError,
  OutputsEvent,
  PerplexityEvent,
  PlanEvent,
  PlannedFile,
  ProgressEvent,
  QualityEvent,
  QuantizeEvent,
  ReferenceEvent,
  ReplacedEvent,
  ReportEvent,
  RunStartedEvent,
  SizesEvent,
  StepEvent,
  TensorLoss,
  VerifiedEvent,
  VerifyEvent,
  WarningEvent,
  WindowDoneEvent,
  WindowStartEvent,
  WorkEvent,
} from "./run/events/events.js";
export type { InspectedTensor, Inspection } from "./run/events/inspection.js";
export type { PushEvent, PushedEvent, PushPlanEvent } from "./run/events/push-events.js";
export type { Timed } from "./run/events/timed.js";
export type { Certificate, CertifiedTensor, ExportCertificate, RuntimeVerdict } from "./run/verify/certificate.js";
export type { CertificateVerdict } from "./run/verify/verdict.js";
export { TensorError } from "./tensor/tensor-error.js";
