/** Time between two looks at what a device's steps came to. */
const SECONDS = 0.3;
/** Steps between them at most. */
const MOST_STEPS = 64;

/** How many steps to launch before the device is waited for: a fraction of a second's worth, so that reports stay fresh. */
export class Lookahead {
  #steps = 1;
  #secondsPerStep = 0;
  #asked = performance.now();

  get steps(): number {
    return this.#steps;
  }

  /** So many steps were launched and waited for since the last call. */
  waitedFor(steps: number): void {
    const now = performance.now();
    this.#secondsPerStep = (now - this.#asked) / 1000 / steps;
    this.#steps = Math.max(1, Math.min(MOST_STEPS, Math.round(SECONDS / this.#secondsPerStep)));
    this.#asked = now;
  }

  /** How long the device will have to do with so many steps; 0 as long as none was waited for. */
  secondsFor(steps: number): number {
    return this.#secondsPerStep * steps;
  }
}
