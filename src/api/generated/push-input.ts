// Written by `npm run pages` from the schemas of the options; change those, and run it again.
/** Options of `pushResult`: those of the command line by the same names, and a signal that stops it. */
export interface PushInput {
  /**
   * Folder that quantize wrote.
   *
   * Command line: the argument `result`.
   */
  readonly result: string;
  /**
   * Owner/name on the Hugging Face Hub; it is created if it is missing.
   *
   * Command line: the argument `repository`.
   */
  readonly repository: string;
  /**
   * Create the repository as a private one.
   *
   * Command line: `--private`.
   *
   * @default false
   */
  readonly private?: boolean | undefined;
  /**
   * Branch to upload to, created from main if it is missing; null takes main.
   *
   * Command line: `--revision <name>`.
   *
   * @default null
   */
  readonly revision?: string | null | undefined;
  /**
   * Title of the commit; null names model and scheme.
   *
   * Command line: `--message <text>`.
   *
   * @default null
   */
  readonly message?: string | null | undefined;
  /**
   * Upload files that were not read back and compared with their hashes.
   *
   * Command line: `--unchecked`.
   *
   * @default false
   */
  readonly unchecked?: boolean | undefined;
  /**
   * Check, list the files with their sizes and stop: nothing is uploaded.
   *
   * Command line: `--dry-run`.
   *
   * @default false
   */
  readonly dryRun?: boolean | undefined;
  /** Stops the work: the iteration throws the signal's reason, and nothing half-written is left. */
  readonly signal?: AbortSignal | undefined;
}
