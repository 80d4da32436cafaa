import type {
  ChoicesEvent,
  ExportEvent,
  PerplexityEvent,
  QuantizeEvent,
  ReferenceEvent,
  VerifyEvent,
  WorkEvent,
} from "../events/events.js";
import type { Inspection } from "../events/inspection.js";
import type { PushEvent } from "../events/push-events.js";
import type { ExportResultOptions } from "../options/export-result-options.js";
import type { GivenOptions } from "../options/options.js";
import type { PushOptions } from "../options/push-options.js";
import type { VerifyOptions } from "../options/verify-options.js";
import type { ErrorMessage } from "./error-transport.js";

/** Where and in what arithmetic a model is loaded. */
export interface LoadOptions {
  /** Branch, tag or commit of a model of the hub. Defaults to main. */
  readonly revision?: string;
  /** `cpu`, `cuda:0`, or `auto` (default) for the first GPU that libtorch sees, else the CPU. */
  readonly device?: string;
  /** Arithmetic of the matrix products. Defaults to float32. */
  readonly dtype?: "float32" | "bfloat16";
}

/** What the main thread knows of a model that the worker holds. */
export interface OpenedModel {
  readonly device: string;
  readonly vocabSize: number;
  /** Longest sequence that the model was made for. */
  readonly contextLength: number;
}

/** Logits of every position. */
export interface Logits {
  /** `[batch, time, vocab]`. */
  readonly shape: readonly [number, number, number];
  readonly data: Float32Array;
}

/** Where a run writes. */
export interface RunFolders {
  /** The result, until it is complete. */
  readonly staging: string;
  /** Finished windows. */
  readonly work: string;
}

/** What a finished `quantize` leaves to tell. */
export interface QuantizeSummary {
  readonly devicePeakBytes: number | null;
}

/** A piece of generated text. */
export interface TextEvent {
  readonly event: "text";
  readonly text: string;
}

export interface GenerateParameters {
  readonly prompt: string;
  readonly tokens: number;
  /** 0 takes the most likely token. */
  readonly temperature: number;
  readonly seed: number;
}

export interface ChoicesParameters {
  readonly file: string;
  /** Most questions to answer; null for all. */
  readonly limit: number | null;
  /** Stands between context and choice where neither has white space there. */
  readonly delimiter: string;
}

/**
 * What the main thread can ask the worker for: parameters, events on the way, result. A worker holds at most one
 * model, which `open` loads for `logits`, `perplexity`, `compare`, `choices` and `generate`; `compare` loads
 * a second one meanwhile.
 */
export interface EngineCalls {
  quantize: {
    /** `folders` is null for a dry run. */
    parameters: {
      readonly options: GivenOptions;
      readonly folders: RunFolders | null;
      /** Id of the run. */
      readonly run: string;
    };
    event: QuantizeEvent;
    result: QuantizeSummary;
  };
  export: { parameters: { readonly options: ExportResultOptions }; event: ExportEvent; result: undefined };
  open: {
    parameters: { readonly folder: string; readonly device: string; readonly dtype: "float32" | "bfloat16" };
    event: WorkEvent;
    result: OpenedModel;
  };
  logits: {
    parameters: { readonly ids: Int32Array; readonly batch: number; readonly time: number };
    event: never;
    result: Logits;
  };
  perplexity: {
    parameters: { readonly text: readonly string[]; readonly context: number | null };
    event: WorkEvent;
    result: PerplexityEvent;
  };
  compare: {
    parameters: { readonly reference: string; readonly text: readonly string[]; readonly context: number | null };
    event: WorkEvent;
    result: ReferenceEvent;
  };
  choices: { parameters: ChoicesParameters; event: WorkEvent; result: ChoicesEvent };
  generate: {
    parameters: GenerateParameters;
    event: TextEvent;
    result: { readonly tokens: number; readonly seconds: number };
  };
  verify: { parameters: { readonly options: VerifyOptions }; event: VerifyEvent; result: undefined };
  push: { parameters: { readonly options: PushOptions }; event: PushEvent; result: undefined };
  inspect: { parameters: { readonly folder: string }; event: WorkEvent; result: Inspection };
}

export type EngineMethod = keyof EngineCalls;

export type ToWorker =
  | { [M in EngineMethod]: RequestMessage<M> }[EngineMethod]
  | { readonly type: "cancel"; readonly id: number };

export interface RequestMessage<M extends EngineMethod> {
  readonly type: "request";
  readonly id: number;
  readonly method: M;
  readonly parameters: EngineCalls[M]["parameters"];
  /** The RunControl of this request. */
  readonly control: SharedArrayBuffer;
}

export type FromWorker =
  | { readonly type: "event"; readonly id: number; readonly event: unknown }
  | { readonly type: "result"; readonly id: number; readonly result: unknown }
  | { readonly type: "error"; readonly id: number; readonly error: ErrorMessage };
