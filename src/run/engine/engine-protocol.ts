import type { ChatMessage } from "../../calibration/chat/chat-prompt.js";
import type { SamplingOptions } from "../../evaluate/generation/sample-token.js";
import type { UntypedOptions } from "../../recipe/options/merge-options.js";
import type {
  ChoicesEvent,
  ExportEvent,
  ImagesEvent,
  PerplexityEvent,
  QuantizeEvent,
  ReferenceEvent,
  VerifyEvent,
  WorkEvent,
} from "../events/events.js";
import type { Inspection } from "../events/inspection.js";
import type { PushEvent } from "../events/push-events.js";
import type { ExportResultOptions } from "../options/commands/export-result-options.js";
import type { PushOptions } from "../options/commands/push-options.js";
import type { VerifyOptions } from "../options/commands/verify-options.js";
import type { ImageOptions } from "../options/graph/image-options.js";
import type { GivenOptions } from "../options/options.js";
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
  /** A text to continue or to answer, or a conversation to answer. */
  readonly prompt: string | readonly ChatMessage[];
  /** Whether a text is continued as it is also where the model has a chat template. */
  readonly raw: boolean;
  /** Most tokens; null for as many as the context has room for. */
  readonly tokens: number | null;
  /** Texts that end it; none empty. */
  readonly stop: readonly string[];
  readonly sampling: SamplingOptions & { readonly seed: number };
}

/** How a text was generated. */
export interface Generated {
  /** Whether it answers the prompt by the model's chat template; otherwise it continues it. */
  readonly chat: boolean;
  /** Tokens of the prompt, those that the template adds included. */
  readonly promptTokens: number;
  /** Tokens that were generated. */
  readonly tokens: number;
  readonly seconds: number;
  /** Why it ended: the model's end token, a stop text, the most tokens, or the end of the model's context. */
  readonly ended: "end token" | "stop text" | "tokens" | "context";
  /** The oldest messages of a conversation that were left out, because the context has no room for them. */
  readonly dropped: number;
}

/** A text, and how much of it is looked at. */
export interface TextParameters {
  readonly text: readonly string[];
  /** Tokens per sequence; null for the default. */
  readonly context: number | null;
  /** Most sequences, from the first; null for all. */
  readonly limit: number | null;
}

export interface ChoicesParameters {
  readonly file: string;
  /** Most questions to answer; null for all. */
  readonly limit: number | null;
  /** Stands between context and choice where neither has white space there. */
  readonly delimiter: string;
}

/** Images that an ONNX network is evaluated on, and what it is compared with. */
export interface ImagesParameters {
  /** An ONNX file, or the folder of a result. */
  readonly model: string;
  /** Folders of images, or a file of prepared tensors. */
  readonly images: readonly string[];
  /** A file that tells their classes; null where folders do, or nothing. */
  readonly labels: string | null;
  /** An ONNX file or a result whose outputs are compared; null without. */
  readonly reference: string | null;
  /** Most images, from the first; null for all. */
  readonly limit: number | null;
  /** What images become. */
  readonly options: ImageOptions;
  readonly device: string;
}

/**
 * What the main thread can ask the worker for: parameters, events on the way, result. A worker holds at most one
 * model, which `open` loads for `logits`, `perplexity`, `compare`, `choices`, `generate` and `hasChatTemplate`; `compare` loads
 * a second one meanwhile.
 */
export interface EngineCalls {
  quantize: {
    /** `given` is what `options` were resolved from, so that an effort can be laid below it; `folders` is null for a dry run. */
    parameters: {
      readonly options: GivenOptions;
      readonly given: UntypedOptions;
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
    parameters: TextParameters;
    event: WorkEvent;
    result: PerplexityEvent;
  };
  compare: {
    parameters: TextParameters & { readonly reference: string };
    event: WorkEvent;
    result: ReferenceEvent;
  };
  choices: { parameters: ChoicesParameters; event: WorkEvent; result: ChoicesEvent };
  generate: { parameters: GenerateParameters; event: TextEvent; result: Generated };
  images: { parameters: ImagesParameters; event: WorkEvent; result: ImagesEvent };
  hasChatTemplate: { parameters: null; event: never; result: boolean };
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
