/**
 * Text of the user's, of a data set of the hub, text that comes with the package, or text that the model makes up; of a graph
 * images, or tensors that were prepared.
 */
export type TextSource = "files" | "hub" | "bundled" | "self-generated" | "images" | "tensors";

/** The calibration text was read and cut, or made up by the model: then every sequence is a document of its own. */
export interface CalibrateEvent {
  readonly event: "calibrate";
  readonly source: TextSource;
  /** Why this text, where it was not asked for; else null. */
  readonly why: string | null;
  readonly documents: number;
  /** Tokens of the whole text. */
  readonly tokens: number;
  /** Sequences that were chosen. */
  readonly sequences: number;
  readonly context: number;
  /** SHA-256 of the chosen token ids. */
  readonly hash: string;
}
