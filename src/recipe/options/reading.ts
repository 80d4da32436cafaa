import type { Recipe } from "../recipe.js";
import type { EngineOptions } from "./engine-options.js";

/** What decides whether an option is read. */
export interface ReaderContext {
  readonly recipe: Recipe;
  /** Resolved; `rotation` may still be `auto`. Groups that only some recipes read are there too, whoever reads them. */
  readonly options: EngineOptions;
  /** 16 where inputs are not quantized. */
  readonly activationBits: number;
  readonly symmetric: boolean;
  /** Whether calibration text is read. */
  readonly hasText: boolean;
}

/** What must hold for an option to be read. */
export interface ReadCondition {
  /** As help and errors say it, after "with": "rounding.kind=lora". */
  readonly text: string;
  /** What a user does to have it hold. */
  readonly action: string;
  holds(context: ReaderContext): boolean;
  /** Where only the model decides: whether it holds for some. Defaults to `holds`. */
  mayHold?(context: ReaderContext): boolean;
}

/** When an option is read: where all conditions of one of these lists hold. */
export type Reading = readonly (readonly ReadCondition[])[];

/** An option that is read whatever the others are. */
export const always: Reading = [[]];

/** An option that is read where all of this holds. */
export function when(...conditions: readonly ReadCondition[]): Reading {
  return [conditions];
}

/**
 * A condition on the value of another option.
 *
 * @param text as help and errors say it: "window.epochs above 0"
 * @param assignment what to set it to: "window.epochs=10"
 */
export function setting<O extends object>(
  text: string,
  assignment: string,
  holds: (options: O) => boolean,
): ReadCondition {
  // The options of a run have every group, also that of another recipe.
  return { text, action: `use --set ${assignment}`, holds: ({ options }) => holds(options as EngineOptions & O) };
}
