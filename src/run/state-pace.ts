/** Share of a run's time that saving its state may take. */
const SHARE = 0.05;
/** Seconds that a save may take whenever it comes: what is lost with a window is more. */
const ALWAYS = 1;

/**
 * When to save what a run can be continued from. Mostly behind every window; where that takes long (both streams of a
 * model of 65 billion parameters are 8.6 GB), so rarely that a continued run loses little and an undisturbed one less.
 */
export class StatePace {
  #seconds = 0;
  #until = 0;

  /** @param now seconds, of any clock that does not go back */
  constructor(private readonly now: () => number = () => performance.now() / 1000) {}

  get isDue(): boolean {
    return this.#seconds <= ALWAYS || this.now() >= this.#until;
  }

  /** Runs `save` and takes its time into account. */
  time<T>(save: () => T): T {
    const started = this.now();
    const result = save();
    this.#seconds = this.now() - started;
    this.#until = this.now() + this.#seconds * (1 / SHARE - 1);
    return result;
  }
}
