import type { TensorLoss } from "../../format/contract/exporter.js";
import type {
  LayerError,
  ProgressEvent,
  StepEvent,
  WarningEvent,
  WindowDoneEvent,
  WindowStartEvent,
} from "../../recipe/job/recipe-job.js";
import type { RecipeName } from "../../recipe/job/recipe-names.js";
import type { AllocationEvent } from "./allocation-event.js";
import type { CalibrateEvent, TextSource } from "./calibrate-event.js";
import type { CensusRecord } from "./census-record.js";
import type { OutputsEvent, QualityEvent, SizesEvent } from "./evaluation-events.js";
import type { PlannedEffort } from "./planned-effort.js";

export type { TensorLoss } from "../../format/contract/exporter.js";
export type {
  BranchLoss,
  LayerError,
  ProgressEvent,
  RecipeEvent,
  StepEvent,
  WarningEvent,
  WindowDoneEvent,
  WindowStartEvent,
} from "../../recipe/job/recipe-job.js";
export type { CalibrateEvent, TextSource } from "./calibrate-event.js";
export type { CensusRecord } from "./census-record.js";
export type {
  ChoicesEvent,
  ImagesEvent,
  OutputsEvent,
  PerplexityEvent,
  QualityEvent,
  ReferenceEvent,
  SizesEvent,
} from "./evaluation-events.js";

/** Always the first event of a command that makes, exports, verifies or uploads a result. */
export interface RunStartedEvent {
  readonly event: "run";
  /** Of events and `crossblock.json`: raised when a field is renamed, removed or gets another meaning. */
  readonly schemaVersion: 2;
  /** A UUID; `crossblock.json` has it as `run`. */
  readonly id: string;
  readonly command: "quantize" | "export" | "verify" | "push";
  /** Version of crossblock. */
  readonly version: string;
}

/** A file or folder that will be written. */
export interface PlannedFile {
  readonly format: string;
  readonly path: string;
  /** Exact size: of the whole file for GGUF, of all tensors for folders. */
  readonly bytes: number;
}

/** What will be done, before anything is trained. All sizes in bytes, times in seconds. */
export interface PlanEvent {
  readonly event: "plan";
  readonly model: string;
  readonly scheme: string;
  readonly symmetric: boolean;
  readonly recipe: RecipeName;
  readonly preset: string;
  /** How much is trained, and who chose that; null for a run that reads no text. */
  readonly effort: PlannedEffort | null;
  readonly out: string;
  /** What will be written, the result itself first. */
  readonly exports: readonly PlannedFile[];
  readonly device: string;
  readonly blocks: number;
  /** First and last block of every window. */
  readonly windows: readonly (readonly [number, number])[];
  /** Seconds that each of them is expected to take. */
  readonly windowSeconds: readonly number[];
  /** The same of what comes before and behind them: up to the first window, scores, sample texts, all formats. */
  readonly stageSeconds: Readonly<Record<"before" | "scoring" | "texts" | "writing", number>>;
  /** Linears that will be quantized. */
  readonly linears: number;
  /** What becomes of every tensor of the source model, these Linears among them. */
  readonly tensors: CensusRecord;
  /** Linears that stay in full precision because much depends on them, by what they are; an override names one to quantize it. */
  readonly protected: readonly { readonly as: string; readonly linears: number; readonly example: string }[];
  /** Weights of these Linears. */
  readonly weights: number;
  /** Mean bits per quantized weight, scales and zero points included. */
  readonly bitsPerWeight: number;
  /** Mean bits of a code that Linears share; null where all have the scheme's. Sizes are then about those of the result. */
  readonly bitsBudget: number | null;
  /** Parameters that are trained, summed over the windows. */
  readonly trainedParameters: number;
  /** Calibration tokens that every epoch sees; 0 without calibration. */
  readonly calibrationTokens: number;
  /** What they are taken from, and why where that was not asked for; null without calibration. */
  readonly text: { readonly source: TextSource; readonly why: string | null } | null;
  /** How the model makes these tokens up itself: sequences at once, and about how long; null where text is read, or none is. */
  readonly selfGenerated: { readonly atOnce: number; readonly seconds: number } | null;
  readonly estimate: {
    readonly deviceBytes: number;
    readonly hostBytes: number;
    /** The result plus what waits on disk meanwhile. */
    readonly diskBytes: number;
    /** All formats together. */
    readonly resultBytes: number;
    readonly seconds: number;
    /** Between which the run is expected to end. */
    readonly range: readonly [from: number, to: number];
    /** Share of the processors that other programs took while the speed was measured, 0 to 1. */
    readonly load: number;
  };
  /** Why the activation quantization is a simulation that no runtime executes; null when it is none. */
  readonly simulatedActivations: string | null;
  /** What of the result only crossblock computes; absent where other programs do. */
  readonly ownRuntime?: string;
}
export type { AllocationEvent } from "./allocation-event.js";

/** The run goes on where an earlier one of the same command was ended. */
export interface ContinuedEvent {
  readonly event: "continued";
  /** Windows that are done already; the next one has this number, counted from 0. */
  readonly window: number;
  readonly windows: number;
  /** The work directory. */
  readonly work: string;
}

/** A format is being written. */
export interface ExportingEvent {
  readonly event: "exporting";
  readonly format: string;
  /** The file or folder that it will have. */
  readonly path: string;
}

/** A format was written, complete. */
export interface ExportedEvent {
  readonly event: "exported";
  readonly format: string;
  readonly path: string;
  /** Size of its weight files, as in `sizes`. */
  readonly bytes: number;
  /** What a user should know of it: whole sentences. */
  readonly notes: readonly string[];
  /** Tensors whose values are not exactly the result's; empty when everything is exact. */
  readonly losses: readonly TensorLoss[];
}

/** What was asked for is there already, complete: nothing was done. */
export interface AlreadyThereEvent {
  readonly event: "already-there";
  readonly format: string;
  readonly path: string;
  readonly scheme: string | null;
  /** When it was made, where that is recorded. */
  readonly created: string | null;
}

/** Something lay where a result or an export was put. */
export interface ReplacedEvent {
  readonly event: "replaced";
  readonly path: string;
  /** Files of an earlier result or export, which are gone. */
  readonly removed: number;
  /** Where everything else lies now; null when there was nothing else. */
  readonly movedTo: string | null;
  /** What that is, relative to the folder. */
  readonly moved: readonly string[];
}

/** What an export will write, before it does. */
export interface ExportPlanEvent {
  readonly event: "export-plan";
  readonly result: string;
  readonly scheme: string | null;
  readonly exports: readonly PlannedFile[];
}

/** What `exportResult` yields; `done` comes last. */
export type ExportEvent =
  | RunStartedEvent
  | ExportPlanEvent
  | ProgressEvent
  | WarningEvent
  | AlreadyThereEvent
  | ExportingEvent
  | ExportedEvent
  | ReplacedEvent
  | DoneEvent;

/** Something in a file is not what the result says. */
export interface DisagreementEvent {
  readonly event: "disagreement";
  readonly format: string;
  readonly path: string;
  /** The tensor, or what else disagrees: `metadata`, `config.json`, `size`, `logits`, `tokenizer`. */
  readonly tensor: string;
  readonly what: string;
}

/** A file or folder was checked. */
export interface VerifiedEvent {
  readonly event: "verified";
  readonly format: string;
  readonly path: string;
  readonly agrees: boolean;
  readonly tensors: number;
  /** Those of them with a loss that was asked for. */
  readonly lossy: number;
  /** What an independent runtime said, in a sentence. */
  readonly runtime: string;
}

/** The certificate was written. */
export interface CertifiedEvent {
  readonly event: "certified";
  readonly agrees: boolean;
  /** The verdict: a sentence on files, on runtimes, on quality. */
  readonly lines: readonly [files: string, runtimes: string, quality: string];
  readonly files: readonly string[];
}

/** What `verifyResult` yields; `certified` and `done` come last. */
export type VerifyEvent =
  | RunStartedEvent
  | ProgressEvent
  | WarningEvent
  | DisagreementEvent
  | VerifiedEvent
  | CertifiedEvent
  | DoneEvent;

/** Where quality and time went. */
export interface ReportEvent {
  readonly event: "report";
  readonly worstLayer: LayerError | null;
  readonly slowestWindow: {
    readonly window: number;
    readonly blocks: readonly [number, number];
    readonly seconds: number;
  } | null;
}

/** Always the last event of a run that succeeded. */
export interface DoneEvent {
  readonly event: "done";
  /** Folder of the result; null after a dry run. */
  readonly out: string | null;
  readonly seconds: number;
  /** Most memory that the process held. */
  readonly peakMemoryBytes: number;
  /** Most memory that the device held; null where it can't be told, as on the CPU. */
  readonly devicePeakBytes: number | null;
}

/** What `quantize` yields. Plain data: `JSON.stringify` gives the line that `--json` prints. */
export type QuantizeEvent =
  | RunStartedEvent
  | PlanEvent
  | AlreadyThereEvent
  | ReplacedEvent
  | CalibrateEvent
  | ContinuedEvent
  | AllocationEvent
  | ProgressEvent
  | WindowStartEvent
  | StepEvent
  | WindowDoneEvent
  | WarningEvent
  | ExportingEvent
  | ExportedEvent
  | ReportEvent
  | QualityEvent
  | OutputsEvent
  | SizesEvent
  | DoneEvent;

/** What the other commands tell while they work. */
export type WorkEvent = ProgressEvent | WarningEvent;

/** Every event of every command. */
export type RunEvent = QuantizeEvent | ExportEvent | VerifyEvent | WorkEvent;
