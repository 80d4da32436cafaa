/** Steps in a row that may be skipped before the window is rolled back. */
const MOST_SKIPPED = 3;
/** How often a window is rolled back before its training is given up. */
const MOST_ROLLBACKS = 2;
/** What the rates are multiplied by then. */
const LOWER_RATE = 0.1;

/** What follows from a step. */
export type Verdict = "done" | "skipped" | "rolled back" | "given up";

/** Decides what becomes of a training whose losses or gradients are not finite. */
export class FaultWatch {
  #done = 0;
  #skipped = 0;
  #rollbacks = 0;
  #rate = 1;

  /** What all rates are to be multiplied by. */
  get rate(): number {
    return this.#rate;
  }

  /** Steps that learnt something. */
  get done(): number {
    return this.#done;
  }

  judge(finite: boolean): Verdict {
    if (finite) {
      this.#done++;
      this.#skipped = 0;
      return "done";
    }
    if (++this.#skipped < MOST_SKIPPED) return "skipped";
    this.#skipped = 0;
    if (++this.#rollbacks > MOST_ROLLBACKS) return "given up";
    this.#rate *= LOWER_RATE;
    return "rolled back";
  }
}
