import type { RunEvent } from "../../run/events/events.js";
import { EventNotes } from "../event-notes.js";
import { colorsOf } from "../terminal/terminal-colors.js";
import { LiveBlock, type TerminalStream } from "./live-block.js";
import { ProgressTracker } from "./progress-tracker.js";
import { render, statusLine } from "./render-progress.js";

/** Milliseconds between two pictures of the live block, and between two status lines of a log. */
const livePeriod = 200;
const logPeriod = 5000;

/** What a view needs of standard error. */
export interface ProgressStream extends TerminalStream {
  readonly isTTY?: boolean;
  on?(event: "resize", listener: () => void): unknown;
  off?(event: "resize", listener: () => void): unknown;
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
  const notes = new EventNotes();
  const colors = colorsOf(stream);
  const block = live ? new LiveBlock(stream) : null;
  let closed = false;
  let begun = false;

  const paint = (): void => {
    if (!begun) return;
    const state = tracker.state(seconds(), process.memoryUsage.rss());
    if (block !== null) block.show(render(state, block.width, colors));
    else stream.write(`${statusLine(state)}\n`);
  };
  const resize = (): void => {
    block?.resized();
    paint();
  };
  const timer = setInterval(paint, live ? livePeriod : logPeriod).unref();
  if (live) stream.on?.("resize", resize);

  const stop = (): void => {
    closed = true;
    clearInterval(timer);
    stream.off?.("resize", resize);
    signal?.removeEventListener("abort", abandon);
  };
  const abandon = (): void => {
    stop();
    if (begun) block?.abandon();
  };
  if (signal?.aborted === true) stop();
  signal?.addEventListener("abort", abandon);

  return {
    show(event) {
      if (closed) return;
      tracker.apply(event, seconds());
      const kept = notes.of(event).map((note) => (note.startsWith("warning:") ? colors.yellow(note) : note));
      if (kept.length > 0 && block !== null) block.above(kept);
      else if (kept.length > 0) stream.write(kept.map((note) => `${note}\n`).join(""));
      begun = true;
    },
    close() {
      if (closed) return;
      stop();
      block?.clear();
    },
  };
}

function seconds(): number {
  return performance.now() / 1000;
}
