import type { StepEvent } from "../../events/events.js";

/** Points that are kept of a window. */
export const MOST_POINTS = 200;

/** What is kept of the losses of a window's steps. */
export interface LossPoints {
  readonly steps: number;
  /** Mean loss of each of at most 200 equal spans of steps; NaN where one was none. */
  readonly means: number[];
}

/** Thins the losses of a window while it trains: means over spans of so many steps that 200 of them hold all. */
export class LossCurve {
  readonly #means: number[] = [];
  #steps = 0;
  #sum = 0;
  #count = 0;
  #span = 1;

  add({ step, steps, loss }: Pick<StepEvent, "step" | "steps" | "loss">): void {
    // A window that solves twice, or begins anew, counts its steps from the start: the last training is what is kept.
    if (this.#steps > 0 && step <= this.#steps) this.#restart();
    this.#steps = step;
    this.#span = Math.max(1, Math.ceil(steps / MOST_POINTS));
    this.#sum += loss;
    if (++this.#count === this.#span) this.#close();
  }

  /** Null where no step was seen. */
  get points(): LossPoints | null {
    if (this.#steps === 0) return null;
    const rest = this.#count === 0 ? [] : [this.#sum / this.#count];
    return { steps: this.#steps, means: [...this.#means, ...rest] };
  }

  #close(): void {
    this.#means.push(this.#sum / this.#count);
    this.#sum = 0;
    this.#count = 0;
  }

  #restart(): void {
    this.#means.length = 0;
    this.#sum = 0;
    this.#count = 0;
  }
}
