import type { ProgressEvent } from "./events.js";

/** Milliseconds between two events of one stage: what a screen or a log can use. */
const period = 200;

/**
 * Tells of a stage with many small steps, five times a second and at its end.
 *
 * @returns to be called after every step
 */
export function pacedProgress(
  emit: (event: ProgressEvent) => void,
  stage: string,
): (done: number, total: number) => void {
  let told = Number.NEGATIVE_INFINITY;
  return (done, total) => {
    const now = performance.now();
    if (now - told < period && done < total) return;
    told = now;
    emit({ event: "progress", stage, done, total });
  };
}
