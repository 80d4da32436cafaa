/** What a soak test saw. */
export interface SoakOutcome {
  readonly windows: number;
  /** Mean bytes of the process in each tenth of the run. */
  readonly means: readonly number[];
  /** Files that the process had open at the end; 0 where it can't be told. */
  readonly descriptors: number;
  /** What memory grew by after the warm-up, as a share. */
  readonly growth: number;
}

export function soak(options: {
  readonly windows: number;
  readonly report?: (line: string) => void;
}): Promise<SoakOutcome>;
