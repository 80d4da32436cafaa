const CANCELLED = 0;
const UNREAD = 1;

/** Events that may wait for the main thread before the worker pauses. */
const MOST_UNREAD = 256;

/** Thrown in the worker when the run was cancelled; the main thread throws its signal's reason instead. */
export class CancelledError extends Error {
  constructor() {
    super("the run was cancelled");
    this.name = "CancelledError";
  }
}

/**
 * Memory that both threads see, because a worker inside synchronous training reads no messages:
 * the main thread's wish to cancel, and how many events it has not consumed yet.
 */
export class RunControl {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer);
  }

  /** Main thread: asks the worker to stop at its next poll. */
  cancel(): void {
    Atomics.store(this.#cells, CANCELLED, 1);
    Atomics.notify(this.#cells, UNREAD);
  }

  /** Worker: throws when the run was cancelled. */
  poll(): void {
    if (Atomics.load(this.#cells, CANCELLED) !== 0) throw new CancelledError();
  }

  /** Main thread: one event was consumed. */
  consumed(): void {
    Atomics.sub(this.#cells, UNREAD, 1);
    Atomics.notify(this.#cells, UNREAD);
  }

  /** Worker: counts an event that was sent, and waits while too many are unread. */
  sent(): void {
    Atomics.add(this.#cells, UNREAD, 1);
    for (;;) {
      const unread = Atomics.load(this.#cells, UNREAD);
      if (unread <= MOST_UNREAD) return;
      this.poll();
      Atomics.wait(this.#cells, UNREAD, unread, 1000);
    }
  }
}
