import type { RunEvent } from "../../run/events/events.js";
import { notesOf } from "../event-notes.js";
import { ProgressTracker } from "./progress-tracker.js";
import { render, statusLine } from "./render-progress.js";

/** Milliseconds between two pictures of the live block, and between two status lines of a log. */
const livePeriod = 200;
const logPeriod = 5000;

/** What a view needs of standard error. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressViewOptions {
  /** When it is aborted the view stops where it is, so that what is written afterwards stays readable. */
  readonly signal?: AbortSignal | undefined;
}

/** Shows the events of a run until it is closed. Both methods may be called after closing; they do nothing then. */
export interface ProgressView {
  show(event: RunEvent): void;
  close(): void;
}

/**
 * Progress on a stream: on a terminal a block of lines that is updated in place, otherwise a status line every five
 * seconds. What is worth keeping (a window's result, a warning) becomes a line of its own in both.
 */
export function progressView(stream: ProgressStream, { signal }: ProgressViewOptions = {}): ProgressView {
  const live = stream.isTTY === true && process.env["TERM"] !== "dumb";
  const tracker = new ProgressTracker(seconds());
  let block = 0;
  let closed = false;
  let begun = false;

  const paint = (notes: readonly string[]): void => {
    const state = tracker.state(seconds(), process.memoryUsage.rss());
    const lines = render(state, Math.max(20, (stream.columns ?? 80) - 1));
    // Without automatic wrapping every line stays one line, so that the way up is known.
    stream.write(`${erase(block)}${text(notes)}\x1b[?7l${text(lines)}\x1b[?7h`);
    block = lines.length;
  };
  const log = (): void => {
    stream.write(text([statusLine(tracker.state(seconds(), process.memoryUsage.rss()))]));
  };
  const tick = (): void => {
    if (!begun) return;
    if (live) paint([]);
    else log();
  };
  const timer = setInterval(tick, live ? livePeriod : logPeriod).unref();

  const stop = (): void => {
    closed = true;
    clearInterval(timer);
    signal?.removeEventListener("abort", stop);
  };
  if (signal?.aborted === true) stop();
  signal?.addEventListener("abort", stop);

  return {
    show(event) {
      if (closed) return;
      tracker.apply(event, seconds());
      const notes = notesOf(event);
      if (notes.length > 0 && live) paint(notes);
      else if (notes.length > 0) stream.write(text(notes));
      begun = true;
    },
    close() {
      if (closed) return;
      stop();
      if (live && block > 0) stream.write(erase(block));
    },
  };
}

function seconds(): number {
  return performance.now() / 1000;
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

/** Moves to the start of the block above the cursor and clears from there. */
function erase(lines: number): string {
  return lines === 0 ? "" : `\x1b[${lines}A\x1b[J`;
}
