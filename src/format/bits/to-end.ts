/** Does work all at once that can be done piece by piece. */
export function toEnd<T>(work: Generator<void, T>): T {
  for (;;) {
    const next = work.next();
    if (next.done === true) return next.value;
  }
}
