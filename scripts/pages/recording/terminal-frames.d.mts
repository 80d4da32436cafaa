/** Characters of one look, from a column on. */
export interface Run {
  readonly column: number;
  readonly text: string;
  /** Columns. */
  readonly width: number;
  readonly color: string | null;
  readonly bold: boolean;
  readonly dim: boolean;
}

export type Row = readonly Run[];

/** A screen from `at` on, in seconds of the film; `clock` is the real time then. */
export interface Frame {
  readonly at: number;
  readonly clock: number;
  readonly rows: readonly Row[];
}

/** A terminal without a window. */
export class TerminalFrames {
  constructor(size: { readonly columns: number; readonly rows: number });
  readonly frames: Frame[];
  /** Writes to the terminal, and keeps its screen where it is another. */
  write(text: string, at: number, clock: number): Promise<void>;
}
