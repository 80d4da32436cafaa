/** Time between two looks at what a device's steps came to. */
const SECONDS = 0.3;
/** Steps between them at most. */
const MOST_STEPS = 64;

/** How many steps to launch before the device is waited for: a fraction of a second's worth, so that reports stay fresh. */
export class Lookahead {
  #steps = 1;
  #asked = performance.now();

  get steps(): number {
    return this.#steps;
  }

  /** So many steps were launched and waited for since the last call. */
  waitedFor(steps: number): void {
    const now = performance.now();
    const perStep = (now - this.#asked) / 1000 / steps;
    this.#steps = Math.max(1, Math.min(MOST_STEPS, Math.round(SECONDS / perStep)));
    this.#asked = now;
  }
}
