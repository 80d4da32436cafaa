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

/** When a run is killed: behind how many of its events, and how long after. */
export interface KillMoment {
  readonly event: number;
  readonly milliseconds: number;
}

/** Chooses a moment from the events of a run that was left alone; `random` gives numbers from 0 to 1. */
export type ChooseMoment = (
  events: readonly { readonly event: string; readonly window?: number }[],
  random: () => number,
) => KillMoment;

export interface KillOptions {
  readonly kills: number;
  readonly seed: number;
  /** Of `crossblock quantize`, without `--out`. */
  readonly arguments: readonly string[];
  /** Of the first kills; of the others they are random. */
  readonly moments?: readonly ChooseMoment[];
  readonly report?: (line: string) => void;
}

export function killAndContinue(options: KillOptions): Promise<KillOutcome[]>;
