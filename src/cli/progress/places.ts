import { recipeOf } from "../../recipe/job/recipe-names.js";
import type { PlanEvent } from "../../run/events/events.js";

/**
 * What a reader calls a step of a run: a part of a training of the whole model, blocks that are trained together, a block
 * where nothing is, an epoch of all.
 */
export type Unit = "part" | "window" | "block" | "epoch";

/** Where a run is; everything counts from 1. */
export interface Place {
  readonly unit: Unit;
  readonly number: number;
  /** Of its unit, in the whole run. */
  readonly count: number;
  /** First and last block. */
  readonly blocks: readonly [number, number];
}

type Planned = Pick<PlanEvent, "windows" | "blocks" | "recipe">;

/** Tells the windows that are the recipe's from those that are epochs of end-to-end training. */
export class Places {
  readonly #plan: Planned | null;
  readonly #parts: number;
  readonly #epochs: number;
  readonly #unit: Unit;

  /** @param plan null where it is not known: then everything is a window */
  constructor(plan: Planned | null) {
    this.#plan = plan;
    this.#parts = plan === null ? 0 : trainingParts(plan);
    this.#epochs = plan === null ? 0 : endToEndEpochs(plan);
    this.#unit = plan !== null && recipeOf(plan.recipe).training === null ? "block" : "window";
  }

  /** Whether blocks are only rounded, so that there is nothing to tell of each. */
  get onlyRounds(): boolean {
    return this.#plan !== null && recipeOf(this.#plan.recipe).onlyRounds === true;
  }

  /** Windows and epochs in all; null where it is not known. */
  get windows(): number | null {
    return this.#plan?.windows.length ?? null;
  }

  /** @param window counted from 0, as in events */
  at({ window, windows, blocks }: { window: number; windows: number; blocks: readonly [number, number] }): Place {
    const parts = this.#parts;
    const before = windows - this.#epochs;
    const shown = [blocks[0] + 1, blocks[1] + 1] as const;
    if (window < parts) return { unit: "part", number: window + 1, count: parts, blocks: shown };
    return window < before
      ? { unit: this.#unit, number: window - parts + 1, count: before - parts, blocks: shown }
      : { unit: "epoch", number: window - before + 1, count: this.#epochs, blocks: shown };
  }

  /** The place of a window whose blocks only the plan knows. */
  ofWindow(window: number, windows: number): Place {
    return this.at({ window, windows, blocks: this.#plan?.windows[window] ?? [0, 0] });
  }
}

/** `window 3 of 7 (blocks 3-4)`, `block 3 of 8`, `end to end, epoch 2 of 4`. */
export function placeText({ unit, number, count, blocks }: Place): string {
  if (unit === "part") return `training, part ${number} of ${count}`;
  if (unit === "epoch") return `end to end, epoch ${number} of ${count}`;
  return unit === "block" ? `block ${number} of ${count}` : `window ${number} of ${count} (${blockRange(blocks)})`;
}

/** `7 windows over 8 blocks: 1-2 2-3 ...; then 4 epochs end to end`, for the plan. */
export function windowsText(plan: Planned): string {
  const epochs = endToEndEpochs(plan);
  const parts = trainingParts(plan);
  const windows = plan.windows
    .slice(parts, plan.windows.length - epochs)
    .map(([first, last]) => (first === last ? `${first + 1}` : `${first + 1}-${last + 1}`));
  const shown = windows.length > 12 ? [...windows.slice(0, 6), "...", ...windows.slice(-3)] : windows;
  const single = recipeOf(plan.recipe).training === null;
  if (recipeOf(plan.recipe).hasWindows === false)
    return `none: ${epochsText(epochs)}, all ${plan.blocks} blocks at once`;
  const text = single
    ? `none: ${plan.blocks} blocks, one after the other`
    : `${windows.length} over ${plan.blocks} blocks: ${shown.join(" ")}`;
  const trained = parts === 0 ? text : `the whole model is trained first, in ${parts} parts; ${text}`;
  return epochs === 0 ? trained : `${trained}; then ${epochsText(epochs)} end to end`;
}

function epochsText(epochs: number): string {
  return `${epochs} ${epochs === 1 ? "epoch" : "epochs"}`;
}

/** `block 3`, or `blocks 3-4`. */
export function blockRange([first, last]: readonly [number, number]): string {
  return first === last ? `block ${first}` : `blocks ${first}-${last}`;
}

/** Windows at the beginning that are parts of a training of the whole model: they hold all blocks. */
function trainingParts({ windows, blocks, recipe }: Planned): number {
  if (recipeOf(recipe).wholeModel === undefined) return 0;
  const other = windows.findIndex(([first, last]) => first !== 0 || last !== blocks - 1);
  return other < 0 ? windows.length - 1 : other;
}

/**
 * Windows at the end that are epochs of end-to-end training: they hold all blocks. No window of a recipe does, unless it is
 * its only one.
 */
function endToEndEpochs(plan: Planned): number {
  const { blocks, recipe } = plan;
  const windows = plan.windows.slice(trainingParts(plan));
  if (recipeOf(recipe).hasWindows === false) return windows.length;
  const whole = ([first, last]: readonly [number, number]): boolean => first === 0 && last === blocks - 1;
  const other = windows.findLastIndex((window) => !whole(window));
  return Math.max(0, windows.length - 1 - Math.max(0, other));
}
