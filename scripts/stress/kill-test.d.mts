import type { CodeDifference } from "./code-difference.mjs";

/** What came of one killed run. */
export interface KillOutcome {
  /** False when the result was complete before its moment came. */
  readonly killed: boolean;
  /** The last event before the kill, or its stage. */
  readonly lastEvent: string;
  /** Windows that the killed process had reported as done, or found so. */
  readonly windowsDone: number;
  /** Windows that the next process did not have to do again. */
  readonly continuedBehind: number;
  readonly ended: boolean;
  /** Whether all codes, scales and clips are those of a run that was left alone. */
  readonly equal: boolean;
  /** Whether scores, sample texts and the names of all files are those of that run. */
  readonly whole: boolean;
  /** Codes and scales that differ from that run's; null where the run did not end. */
  readonly difference: CodeDifference | null;
  readonly errors: string;
}

/** A line of `--json`. */
export interface RunLine {
  readonly event: string;
  readonly window?: number;
  readonly stage?: string;
  readonly step?: number;
  readonly steps?: number;
}

/** When a process is killed: behind the first of its events that is meant, and how long after. */
export interface KillMoment {
  readonly at: (event: RunLine, index: number) => boolean;
  readonly milliseconds: number;
}

/** Chooses a moment from the events of a run that was left alone; `random` gives numbers from 0 to 1. */
export type ChooseMoment = (events: readonly RunLine[], random: () => number) => KillMoment;

/** Behind the first event of this name or stage. */
export function inStage(stage: string): ChooseMoment;

/** The stages behind the windows. */
export const LATE_STAGES: readonly string[];

export interface KillOptions {
  /** Runs that are killed. */
  readonly kills: number;
  readonly seed: number;
  /** Of `crossblock quantize`, without `--out`. */
  readonly arguments: readonly string[];
  /** Of the first runs; of the others they are random. Of a list, each process of the run is killed at the next. */
  readonly moments?: readonly (ChooseMoment | readonly ChooseMoment[])[];
  readonly report?: (line: string) => void;
}

export function killAndContinue(options: KillOptions): Promise<KillOutcome[]>;
