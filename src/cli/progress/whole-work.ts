import type { ExportPlanEvent, PlanEvent, RunEvent } from "../../run/events/events.js";
import { PlannedWork } from "./remaining-time.js";

/** Stages behind the windows, in the order in which a run does them. */
type Behind = "scoring" | "texts" | "writing";

/** How much of a whole run is done, every part of it counted by the seconds that are planned for it: it never falls. */
export class WholeWork {
  readonly #plan: Pick<PlanEvent, "stageSeconds" | "windowSeconds">;
  readonly #formats: readonly string[];
  readonly #windows: PlannedWork;
  readonly #windowSeconds: number;
  readonly #total: number;
  /** Formats that are written. */
  #written = 0;
  #done = 0;
  /** Whether the first window, or what has none of them, has begun. */
  #begun = false;

  private constructor(plan: Pick<PlanEvent, "stageSeconds" | "windowSeconds" | "exports">) {
    this.#plan = plan;
    this.#formats = plan.exports.map(({ format }) => format);
    this.#windows = new PlannedWork(plan.windowSeconds);
    this.#windowSeconds = plan.windowSeconds.reduce((sum, each) => sum + each, 0);
    this.#total = Object.values(plan.stageSeconds).reduce((sum, each) => sum + each, this.#windowSeconds);
  }

  static of(plan: PlanEvent): WholeWork {
    return new WholeWork(plan);
  }

  /** An export only writes, one format like the other. */
  static ofExport({ exports }: ExportPlanEvent): WholeWork {
    const stageSeconds = { before: 0, scoring: 0, texts: 0, writing: 1 };
    return new WholeWork({ exports, windowSeconds: [], stageSeconds });
  }

  /** Whether the work before the windows is done, so that its own pace says something. */
  get begun(): boolean {
    return this.#begun;
  }

  /** @param elapsed seconds since the beginning: before the windows nothing else is comparable from stage to stage */
  fraction(elapsed: number): number {
    if (!this.#begun) this.#reach(Math.min(this.#plan.stageSeconds.before, elapsed));
    return this.#done;
  }

  apply(event: RunEvent): void {
    const { before } = this.#plan.stageSeconds;
    switch (event.event) {
      case "window-start":
      case "window-done":
      case "step": {
        this.#begun = true;
        const share = event.event === "step" ? event.step / event.steps : event.event === "window-done" ? 1 : 0;
        this.#reach(before + this.#windowSeconds * this.#windows.fraction(event.window, event.windows, share));
        break;
      }
      case "report":
        this.#behind("scoring", 0);
        break;
      case "progress": {
        const stage = this.#stageOf(event.stage);
        if (stage !== null && event.total > 0) this.#behind(stage, event.done / event.total);
        break;
      }
      case "exporting":
        this.#behind("writing", 0);
        break;
      case "exported":
      case "already-there":
        this.#written++;
        this.#behind("writing", 0);
        break;
      case "done":
        this.#done = 1;
        break;
      default:
        break;
    }
  }

  #stageOf(name: string): Behind | null {
    if (name === "scoring") return "scoring";
    if (name === "writing sample texts") return "texts";
    return this.#formats.some((format) => name === `writing ${format}`) ? "writing" : null;
  }

  #behind(stage: Behind, share: number): void {
    this.#begun = true;
    const { before, scoring, texts, writing } = this.#plan.stageSeconds;
    const windows = before + this.#windowSeconds;
    if (stage === "scoring") this.#reach(windows + share * scoring);
    else if (stage === "texts") this.#reach(windows + scoring + share * texts);
    else {
      const formats = Math.max(1, this.#formats.length);
      const part = Math.min(1, (this.#written + share) / formats);
      this.#reach(windows + scoring + texts + part * writing);
    }
  }

  #reach(seconds: number): void {
    if (this.#total > 0) this.#done = Math.max(this.#done, Math.min(1, seconds / this.#total));
  }
}
