import type { TensorCensus } from "../../network/index.js";
import type { CopiedFiles } from "../written-files.js";
import type { ExportOptions } from "./export-options.js";
import type { ExportSource } from "./export-source.js";
import type { InspectedTensor } from "./inspected-tensor.js";
import type { TensorCheck } from "./tensor-check.js";

/** What will be written, known before any codes are. */
export interface PlannedExport {
  /** Below the folder that holds a result's exports: `gguf/NAME-W4A16g32-Q4_0.gguf`, or a folder's name. */
  readonly path: string;
  /** Exact size: of the whole file for GGUF, of all tensors for folders of safetensors. */
  readonly bytes: number;
  /** Those of them that hold the embedding, and the head where it is a matrix of its own. */
  readonly embeddingBytes: number;
  /** What a user should know of it: whole sentences. */
  readonly notes: readonly string[];
}

/** A tensor whose values are not exactly the result's: rounded as was asked for, or its offsets to fp16. */
export interface TensorLoss {
  /** Name in the export. */
  readonly tensor: string;
  /** The type that it was rounded to. */
  readonly type: string;
  /** Mean squared error relative to the mean square of the values. */
  readonly relativeError: number;
}

/** An export that is open for reading, by the decoder that was written from the format's specification. */
export interface OpenedExport extends Disposable {
  /** Model family, as `model_type` or `general.architecture` names it. */
  readonly family: string;
  /** Scheme that the files tell; null where they tell none. */
  readonly scheme: string | null;
  readonly tensorCount: number;
  /** What the network reads of its tensors; null for a network that crossblock does not compute, and in formats that hold no other. */
  readonly census: TensorCensus | null;
  /** Measured as `PlannedExport.bytes`. */
  readonly bytes: number;
  /** Whether these are the choices that it was written with, as far as they concern its format. */
  madeWith(options: ExportOptions): boolean;
  /** What `bytes` should be for this result, by the plan. */
  plannedBytes(result: ExportSource): number;
  /** The notes of the plan: what a user should know of the files. */
  notes(result: ExportSource): readonly string[];
  /** Compares every tensor with the result's. A damaged tensor is a verdict, never an exception. */
  check(result: ExportSource): AsyncGenerator<TensorCheck, void, undefined>;
  /** Reads every tensor once. */
  inspect(): AsyncGenerator<InspectedTensor, void, undefined>;
}

/** What every format offers to those who write and read all of them alike. */
export interface Exporter {
  /** A file is written under a temporary name by `write` itself; a folder has to be staged by the caller. */
  readonly kind: "file" | "folder";
  /**
   * Decides what will be written; reads no tensor.
   *
   * @throws FormatError for what the format can't hold, naming the nearest scheme that it can
   */
  plan(source: ExportSource, options: ExportOptions): PlannedExport;
  /** Writes to `path`, one tensor of the source in memory at a time; returns what is not exact. */
  write(
    source: ExportSource,
    path: string,
    options: ExportOptions & { readonly signal: AbortSignal },
  ): Promise<readonly TensorLoss[]>;
  /**
   * Whether a file below a folder of exports of this format is one that `write` makes.
   *
   * @param path relative to `folder`, with `/`
   */
  owns(folder: string, path: string, copied: CopiedFiles): Promise<boolean>;
  /** The export in a file or folder, when it is one of this format: its path, else null. */
  find(path: string): Promise<string | null>;
  /** @throws FormatError or CheckpointError naming the tensor when the files contradict themselves */
  open(path: string): Promise<OpenedExport>;
  /**
   * The network of an export, to compute with, in formats that are model folders; its weights by the names of the checkpoint.
   *
   * @throws as `open`
   */
  readonly network?: (path: string) => Promise<ExportSource & Disposable>;
}
