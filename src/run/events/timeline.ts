import type { QuantizeEvent } from "./events.js";

/** A part of a run, and how long it took. */
export interface TimelineStage {
  /** `planning`, `reading text`, `reading examples`, `making up text`, `checking weights`, `training`, `windows`, `end-to-end`, `scoring`, `sample texts`, `writing FORMAT`. */
  readonly stage: string;
  /** ISO 8601. */
  readonly start: string;
  readonly seconds: number;
}

/** A window that an earlier process finished. */
export interface EarlierWindow {
  /** ISO 8601; null where it was not recorded. */
  readonly start: string | null;
  readonly seconds: number;
}

/** Follows the events of a run and says which stage took how long. */
export class Timeline {
  readonly #stages: TimelineStage[] = [];
  #current: { readonly stage: string; readonly begun: number };
  /** Parts of a training of the whole model, and then windows of blocks. */
  #parts = 0;
  #windows = Number.POSITIVE_INFINITY;

  constructor(now = Date.now()) {
    this.#current = { stage: "planning", begun: now };
  }

  /**
   * @param windows of blocks, once they are known: those that follow are end-to-end training
   * @param parts of a training of the whole model, before them
   */
  begin(windows: number, parts = 0): void {
    this.#parts = parts;
    this.#windows = windows;
  }

  observe(event: QuantizeEvent, now = Date.now()): void {
    const stage = this.#stageOf(event);
    if (stage === null || stage === this.#current.stage) return;
    const { stage: left, begun } = this.#current;
    // A stage that came and went within a millisecond was none.
    if (now > begun) this.#stages.push(entry({ stage: left, begun, ended: now }));
    this.#current = { stage, begun: now };
  }

  /**
   * All stages up to now, in their order; windows that earlier processes did come first, one stage for each stretch of them
   * that follow each other within a minute.
   */
  stages(earlier: readonly EarlierWindow[], now = Date.now()): TimelineStage[] {
    const { stage, begun } = this.#current;
    const spans = earlier.flatMap(({ start, seconds }, i): Span[] =>
      start === null
        ? []
        : [
            {
              stage: this.#ofWindow(i),
              begun: Date.parse(start),
              ended: Date.parse(start) + seconds * 1000,
            },
          ],
    );
    return [...joined(spans).map(entry), ...this.#stages, entry({ stage, begun, ended: now })];
  }

  #ofWindow(window: number): string {
    if (window < this.#parts) return "training";
    return window < this.#parts + this.#windows ? "windows" : "end-to-end";
  }

  #stageOf(event: QuantizeEvent): string | null {
    if (event.event === "window-start") return this.#ofWindow(event.window);
    // What is checked once the text is read; of a small model nothing more is heard.
    if (event.event === "calibrate") return readsWeightsNext.has(event.source) ? "checking weights" : "windows";
    if (event.event === "exporting") return `writing ${event.format}`;
    if (event.event !== "progress") return null;
    return progressStages.find(([begins]) => event.stage.startsWith(begins))?.[1] ?? null;
  }
}

const readsWeightsNext: ReadonlySet<string> = new Set(["files", "images", "tensors"]);

/** How names of progress begin, and the stage that they are part of. */
const progressStages: readonly (readonly [string, string])[] = [
  ["reading text", "reading text"],
  ["reading examples", "reading examples"],
  ["making up", "making up text"],
  ["checking weights", "checking weights"],
  ["preparing the model", "training"],
  ["preparing block", "windows"],
  ["opening block", "end-to-end"],
  ["scoring", "scoring"],
  ["writing sample texts", "sample texts"],
];

interface Span {
  readonly stage: string;
  readonly begun: number;
  readonly ended: number;
}

function entry({ stage, begun, ended }: Span): TimelineStage {
  return { stage, start: new Date(begun).toISOString(), seconds: Math.max(0, ended - begun) / 1000 };
}

const minute = 60_000;

function joined(spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const span of spans) {
    const last = result.at(-1);
    if (last?.stage === span.stage && Math.abs(span.begun - last.ended) < minute) {
      result[result.length - 1] = { ...last, ended: span.ended };
    } else {
      result.push(span);
    }
  }
  return result;
}
