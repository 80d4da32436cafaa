/** Times of a film, at most `most` seconds long, for things that happened at these seconds; null for what it does not show. */
export function filmTimes(seconds: readonly number[], most: number): (number | null)[];
