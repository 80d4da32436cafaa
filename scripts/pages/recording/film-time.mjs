/** How long what happened takes in a film of it. */

/** Seconds of nothing that a film shows at most. */
const LONGEST_PAUSE = 0.7;
/** Seconds between two pictures at least. */
const PICTURE = 0.2;

/**
 * Times of a film for things that happened at these seconds: pauses are cut, and all of it is made to last `most` seconds at most.
 * Of things that come faster than a film shows pictures the last one counts: the others have no time.
 * @param {readonly number[]} seconds @param {number} most
 * @returns {(number | null)[]}
 */
export function filmTimes(seconds, most) {
  let [at, before] = [0, 0];
  const cut = seconds.map((second) => {
    at += Math.min(LONGEST_PAUSE, second - before);
    before = second;
    return at;
  });
  const whole = cut.at(-1) ?? 0;
  const scale = whole > most ? most / whole : 1;
  return cut.map((time, i) => {
    const next = cut[i + 1];
    const picture = Math.floor((time * scale) / PICTURE);
    return next !== undefined && Math.floor((next * scale) / PICTURE) === picture ? null : time * scale;
  });
}
