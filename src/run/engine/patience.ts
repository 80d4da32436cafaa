/** How long something that was asked to stop may go on. */
export interface Patience {
  /** Milliseconds on the clock, and of processor time of this process: beside other work it gets less of that. */
  readonly milliseconds: number;
  /** Milliseconds on the clock after which it has not computed but waited, for a disk or for ever. */
  readonly longest: number;
}

/** How often is looked, in milliseconds. */
const INTERVAL = 25;

/**
 * Calls `action` once patience is over, unless the returned function was called by then. Does not keep the process alive.
 *
 * By the clock alone, a busy machine would cut work off that was about to stop in good order.
 */
export function whenPatienceEnds({ milliseconds, longest }: Patience, action: () => void): () => void {
  const started = performance.now();
  const before = process.cpuUsage();
  const timer = setInterval(() => {
    const passed = performance.now() - started;
    const { user, system } = process.cpuUsage(before);
    if (passed < longest && (passed < milliseconds || (user + system) / 1000 < milliseconds)) return;
    clearInterval(timer);
    action();
  }, INTERVAL);
  timer.unref();
  return () => clearInterval(timer);
}
