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

  /** What all rates are to be multiplied by. */
  get rate(): number {
    return LOWER_RATE ** this.#rollbacks;
  }

  /** Whether `judge` has given the training up. */
  get gaveUp(): boolean {
    return this.#rollbacks > MOST_ROLLBACKS;
  }

  /** Its numbers, for a training that is continued elsewhere. */
  get state(): readonly [done: number, skipped: number, rollbacks: number] {
    return [this.#done, this.#skipped, this.#rollbacks];
  }

  set state([done, skipped, rollbacks]: readonly [number, number, number]) {
    this.#done = done;
    this.#skipped = skipped;
    this.#rollbacks = rollbacks;
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
    this.#rollbacks++;
    return this.gaveUp ? "given up" : "rolled back";
  }
}
