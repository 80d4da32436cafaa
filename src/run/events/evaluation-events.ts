import type { ModelComparison } from "../../evaluate/compare-models.js";
import type { Accuracy } from "../../evaluate/outputs/class-accuracy.js";
import type { OutputDistance } from "../../evaluate/outputs/output-comparison.js";

/** What the result of a graph lost: how far its outputs are from the source's, on examples that it was not calibrated on. */
export interface OutputsEvent {
  readonly event: "outputs";
  /** What was scored, in words. */
  readonly examples: string;
  readonly count: number;
  readonly result: OutputDistance;
  /** Of the same scheme by rounding alone; null where that was not computed. */
  readonly roundToNearest: OutputDistance | null;
  /** What the scoring took. */
  readonly seconds: number | null;
}

/** What the result lost, measured on text that it was not calibrated on. */
export interface QualityEvent {
  readonly event: "quality";
  /** What was scored, in words. */
  readonly text: string;
  /** Tokens that were predicted. */
  readonly tokens: number;
  /** Tokens a sequence. */
  readonly context: number;
  readonly perplexity: {
    readonly source: number;
    readonly result: number;
    /** Of the same scheme by rounding alone; null where that was not computed. */
    readonly roundToNearest: number | null;
  };
  /** Mean Kullback-Leibler divergence from the source to the result, in nats a token. */
  readonly divergence: number;
  readonly roundToNearestDivergence: number | null;
  /** What the scoring took. */
  readonly seconds: number | null;
}

/** Bytes of the source's weights beside those of every format that was written. */
export interface SizesEvent {
  readonly event: "sizes";
  readonly source: number;
  readonly formats: readonly {
    readonly format: string;
    /** Below the result; `.` for the result itself. */
    readonly path: string;
    readonly bytes: number;
    /** Those of them that hold the embedding, and the head where it is a matrix of its own. */
    readonly embeddingBytes: number;
  }[];
}

/** The last line of `eval --json`. */
export interface PerplexityEvent {
  readonly event: "perplexity";
  readonly value: number;
  /** Tokens that were predicted and counted. */
  readonly tokens: number;
  readonly context: number;
  /** Sequences that were scored, of as many as the text has. */
  readonly sequences: number;
  readonly ofSequences: number;
}

/** The last line of `eval --images --json`. */
export interface ImagesEvent {
  readonly event: "images";
  /** Images that were looked at, of as many as there are. */
  readonly images: number;
  readonly ofImages: number;
  /** What they became before the network saw them, in words; null for prepared tensors. */
  readonly preprocessing: string | null;
  /** What tells their classes; null where nothing does. */
  readonly labels: "folders" | "file" | null;
  /** How often the network is right; null where no classes are known. */
  readonly accuracy: Accuracy | null;
  /** How far its outputs are from another network's; null without one. */
  readonly reference:
    | (OutputDistance & {
        /** File or folder of the reference. */
        readonly model: string;
        readonly accuracy: Accuracy | null;
      })
    | null;
}

/** The last line of `eval --choices --json`. */
export interface ChoicesEvent {
  readonly event: "choices";
  /** Share of questions whose right choice has the largest log-likelihood. */
  readonly accuracy: number;
  /** Standard error of `accuracy`; null for a single question. */
  readonly stderr: number | null;
  /** The same where each log-likelihood is divided by the bytes of its choice. */
  readonly accuracyNorm: number;
  readonly stderrNorm: number | null;
  readonly questions: number;
}

/** How far a model is from a reference over a text: the line before the last of `eval --reference --json`. */
export interface ReferenceEvent extends ModelComparison {
  readonly event: "reference";
  /** Folder or name of the reference. */
  readonly reference: string;
  readonly context: number;
  /** Sequences that were compared, of as many as the text has. */
  readonly sequences: number;
  readonly ofSequences: number;
}
