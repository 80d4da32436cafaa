/** What a plan is off by on a quiet machine, downwards and upwards: nine of ten runs lie within. */
const [BELOW, ABOVE] = [0.85, 1.2];

/**
 * The seconds between which a run is expected to end. The speed was measured beside the other programs: where they end, it
 * takes less.
 *
 * @param load share of the processors that other programs took while it was measured
 */
export function timeRange(seconds: number, load: number): readonly [from: number, to: number] {
  return [seconds * BELOW * (1 - Math.min(load, MOST_LOAD)), seconds * ABOVE];
}

/** A run gets this much of a machine at least: what other programs leave shifts between them. */
const MOST_LOAD = 0.6;
