/** One text that stands for itself: it gets a start token of its own. */
export interface Document {
  readonly text: string;
  /** Where it came from: `file`, `file:line`, or `file, row n`. */
  readonly source: string;
}
