import type { RunEvent, WindowStartEvent } from "../../run/events/events.js";
import { type Place, Places } from "./places.js";
import { RemainingTime } from "./remaining-time.js";
import { WholeWork } from "./whole-work.js";

/** Where a run is, as one screen shows it. Numbers that people read count from 1. */
export interface ProgressState {
  /** What the run does as a whole; null until its plan is known, and for commands without one. */
  readonly title: string | null;
  readonly place: Place | null;
  readonly training: {
    /** Of the window; null where the place is an epoch, or a part of a training of the whole model. */
    readonly epoch: { readonly number: number; readonly count: number } | null;
    readonly loss: number;
    readonly tokensPerSecond: number;
    /** What a token is where it is none: an example of a graph. */
    readonly counted?: "examples";
  } | null;
  /** Work without a loss; `total` is 0 where its amount is not known. */
  readonly stage: { readonly name: string; readonly done: number; readonly total: number } | null;
  /** How much of a planned run is done, else of the stage; null where it can't be told. */
  readonly fraction: number | null;
  readonly elapsedSeconds: number;
  readonly remainingSeconds: number | null;
  /** Memory that the process holds. */
  readonly memoryBytes: number;
}

/** Follows the events of a run, and says where it is. Times are seconds of one clock that only goes forward. */
export class ProgressTracker {
  readonly #started: number;
  readonly #remaining = new RemainingTime();
  #title: ProgressState["title"] = null;
  #places = new Places(null);
  #place: Place | null = null;
  #training: ProgressState["training"] = null;
  #stage: ProgressState["stage"] = null;
  #fraction: number | null = null;
  #work: WholeWork | null = null;
  /** What the plan expects in all; only used until the work itself tells more. */
  #expectedSeconds: number | null = null;
  #ofGraph = false;

  constructor(now: number) {
    this.#started = now;
  }

  apply(event: RunEvent, now: number): void {
    this.#follow(event, now);
    if (this.#work === null) return;
    this.#work.apply(event);
    this.#fraction = this.#work.fraction(now - this.#started);
    if (this.#work.begun) this.#remaining.update(this.#fraction, now);
  }

  #follow(event: RunEvent, now: number): void {
    switch (event.event) {
      case "plan":
        this.#title = `${event.scheme} by ${event.recipe} on ${event.device}`;
        this.#places = new Places(event);
        this.#expectedSeconds = event.estimate.seconds;
        this.#ofGraph = event.text?.source === "images" || event.text?.source === "tensors";
        this.#work = WholeWork.of(event);
        break;
      case "export-plan":
        this.#title = `${event.scheme ?? "result"} to ${event.exports.map(({ format }) => format).join(", ")}`;
        this.#work = WholeWork.ofExport(event);
        break;
      case "progress":
        if (this.#place === null && this.#stage?.name !== event.stage) this.#remaining.restart();
        this.#stage = { name: event.stage, done: event.done, total: event.total };
        if (this.#work === null) this.#reach(event.total > 0 ? Math.min(1, event.done / event.total) : null, now);
        break;
      case "window-start":
        this.#enter(event);
        break;
      case "step": {
        const { epoch, epochs, loss, tokensPerSecond } = event;
        this.#stage = null;
        const inWindow =
          this.#place?.unit === "epoch" || this.#place?.unit === "part" ? null : { number: epoch + 1, count: epochs };
        const counted = this.#ofGraph ? ({ counted: "examples" } as const) : {};
        this.#training = { epoch: inWindow, loss, tokensPerSecond, ...counted };
        break;
      }
      case "window-done":
        this.#training = null;
        this.#stage = null;
        break;
      // Windows are done; scores follow.
      case "report":
        this.#leaveWindows();
        break;
      case "exporting":
        this.#leaveWindows();
        this.#stage = { name: `writing ${event.format}`, done: 0, total: 0 };
        break;
      case "exported":
      case "verified":
      case "certified":
      case "done":
        this.#leaveWindows();
        this.#stage = null;
        break;
      case "calibrate":
        this.#stage = null;
        break;
      case "run":
      case "continued":
      case "quality":
      case "outputs":
      case "sizes":
      case "warning":
      case "disagreement":
        break;
    }
  }

  state(now: number, memoryBytes: number): ProgressState {
    const elapsedSeconds = now - this.#started;
    if (this.#work !== null) this.#fraction = this.#work.fraction(elapsedSeconds);
    return {
      title: this.#title,
      place: this.#place,
      training: this.#training,
      stage: this.#stage,
      fraction: this.#fraction,
      elapsedSeconds,
      remainingSeconds: this.#remainingSeconds(now, elapsedSeconds),
      memoryBytes,
    };
  }

  #enter(event: WindowStartEvent): void {
    if (this.#place === null) this.#remaining.restart();
    this.#place = this.#places.at(event);
    this.#training = null;
    this.#stage = null;
  }

  #leaveWindows(): void {
    this.#place = null;
    this.#training = null;
    if (this.#work === null) this.#fraction = null;
    this.#expectedSeconds = null;
    // What follows goes at a pace of its own.
    this.#remaining.restart();
  }

  #reach(fraction: number | null, now: number): void {
    this.#fraction = fraction;
    if (fraction !== null) this.#remaining.update(fraction, now);
  }

  #remainingSeconds(now: number, elapsed: number): number | null {
    // A stage before the windows says nothing about the whole run, which the plan has an opinion on.
    const beforeWindows = this.#expectedSeconds !== null && this.#place === null;
    const measured = this.#fraction === null || beforeWindows ? null : this.#remaining.estimate(now);
    if (measured !== null || this.#expectedSeconds === null) return measured;
    // Beyond what was expected nobody knows.
    return elapsed < this.#expectedSeconds ? this.#expectedSeconds - elapsed : null;
  }
}
