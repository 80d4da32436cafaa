import type { CodeDifference } from "./code-difference.mjs";

/** What came of one killed run. */
export interface KillOutcome {
  /** False when the result was complete before its moment came. */
  readonly killed: boolean;
  /** The last event before the kill. */
  readonly lastEvent: string;
  /** Windows that the killed process had reported as done. */
  readonly windowsDone: number;
  /** Windows that the next process did not have to do again. */
  readonly continuedBehind: number;
  readonly ended: boolean;
  /** Whether all codes, scales and clips are those of a run that was left alone. */
  readonly equal: boolean;
  /** Codes and scales that differ from that run's; null where the run did not end. */
  readonly difference: CodeDifference | null;
  readonly errors: string;
}

export function killAndContinue(options: {
  readonly kills: number;
  readonly seed: number;
  /** Of `crossblock quantize`, without `--out`. */
  readonly arguments: readonly string[];
  readonly report?: (line: string) => void;
}): Promise<KillOutcome[]>;
