/** Something that a reader of text left out, and says. */
export interface ReadingWarning {
  readonly what: string;
  readonly where: string;
  readonly next: string;
}

export interface ReadingOptions {
  /** Bytes that are read at least of a file that is too large to be read whole. */
  readonly wantedBytes: number;
  /** The field or column that holds the text, where it is named; else the one that `textOfRecord` finds. */
  readonly column?: string;
  /** Whether documents say where the answers of conversations are. */
  readonly answers?: boolean;
  readonly onWarning?: (warning: ReadingWarning) => void;
  /** Bytes of a `.txt` file up to which it is one document; for tests. */
  readonly longestPlainText?: number;
  /** Bytes of a `.jsonl` file up to which all of its lines are read; for tests. */
  readonly longestLines?: number;
}
