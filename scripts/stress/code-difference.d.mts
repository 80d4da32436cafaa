/** What two results don't have in common. */
export interface CodeDifference {
  readonly weights: number;
  /** Weights whose codes differ. */
  readonly codes: number;
  readonly groups: number;
  /** Groups whose scale or zero point differs. */
  readonly scales: number;
}

export function codeDifference(first: string, second: string): Promise<CodeDifference>;

/** As a screen shows it. */
export function differenceText(difference: CodeDifference): string;
