import type { Span } from "../chat/answer-spans.js";

/** One text that stands for itself: it gets a start token of its own. */
export interface Document {
  readonly text: string;
  /** Where it came from: `file`, `file:line`, or `file, row n`. */
  readonly source: string;
  /** Where it has the answers of a conversation, where that was asked for and it is one. */
  readonly answers?: readonly Span[];
}
