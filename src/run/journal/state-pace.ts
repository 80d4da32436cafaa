/** Share of a run's time that saving its state may take. */
export const SAVING_SHARE = 0.05;
/** Seconds that a save may take whenever it comes: what is lost with a window is more. */
export const ALWAYS_SAVED = 1;

/**
 * When to save what a run can be continued from. Mostly after every window; where that takes long (both streams of a
 * model of 65 billion parameters are 8.6 GB), so rarely that a continued run loses little and an undisturbed one less.
 */
export class StatePace {
  #until = Number.NEGATIVE_INFINITY;

  /** @param now seconds, of any clock that does not go back */
  constructor(private readonly now: () => number = () => performance.now() / 1000) {}

  get isDue(): boolean {
    return this.now() >= this.#until;
  }

  /** Runs `save` and takes its time into account. */
  time<T>(save: () => T): T {
    const started = this.now();
    const result = save();
    const ended = this.now();
    const seconds = ended - started;
    this.#until = seconds > ALWAYS_SAVED ? ended + seconds * (1 / SAVING_SHARE - 1) : ended;
    return result;
  }
}
