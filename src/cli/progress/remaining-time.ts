/** Seconds of history at least that the rate is taken over, and the least that an answer needs. */
const shortestHistory = 20;
const firstAnswerAfter = 2;

interface Sample {
  readonly seconds: number;
  readonly fraction: number;
}

/** How much of a run's windows is done, each counted by the seconds that the plan expects of it. */
export class PlannedWork {
  readonly #before: readonly number[];
  readonly #seconds: readonly number[];

  /** @param seconds what the plan expects of every window; where it expects nothing of any, all count alike */
  constructor(seconds: readonly number[]) {
    this.#seconds = seconds.some((each) => each > 0) ? seconds : seconds.map(() => 1);
    let sum = 0;
    this.#before = [...this.#seconds, 0].map((each) => {
      const before = sum;
      sum += each;
      return before;
    });
  }

  /**
   * The part that is done, 0 to 1, when `share` of window number `window` is.
   *
   * @param windows as many as the run has; of another number than planned, all count alike
   */
  fraction(window: number, windows: number, share: number): number {
    if (windows !== this.#seconds.length) return (window + share) / windows;
    const total = this.#before[windows] ?? 0;
    return ((this.#before[window] ?? 0) + share * (this.#seconds[window] ?? 0)) / total;
  }
}

/**
 * Estimates how long work still takes from how far it has come. The rate is that of the younger half of the time, at
 * least 20 seconds of it: a slow start is forgotten, and a single slow step hardly shows.
 */
export class RemainingTime {
  #samples: Sample[] = [];

  /**
   * @param fraction how much is done, 0 to 1, never less than before
   * @param seconds time of any clock that only goes forward
   */
  update(fraction: number, seconds: number): void {
    if (this.#samples.at(-1)?.fraction === fraction) return;
    this.#samples.push({ fraction, seconds });
    // However long it runs, a few thousand samples tell as much as all.
    if (this.#samples.length > 4096) this.#samples = this.#samples.filter((_, i) => i % 2 === 0);
  }

  /** Other work begins: what was measured so far says nothing about it. */
  restart(): void {
    this.#samples = [];
  }

  /** Seconds that are left at `seconds`; null while there is nothing to judge by. */
  estimate(seconds: number): number | null {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.seconds - first.seconds < firstAnswerAfter) return null;
    const since = last.seconds - Math.max(shortestHistory, (last.seconds - first.seconds) / 2);
    // The newest sample that is old enough; without one, all there is.
    const from = this.#samples.findLast((sample) => sample.seconds <= since) ?? first;
    const rate = (last.fraction - from.fraction) / (last.seconds - from.seconds);
    // Between two samples it counts down, so that a display does not stand still during a long step.
    return Math.max(0, (1 - last.fraction) / rate - (seconds - last.seconds));
  }
}
