import type { RecipeName } from "../../../recipe/job/recipe-names.js";
import { type EffortName, effortNames } from "../../../recipe/options/efforts.js";
import {
  mergeOptions,
  optionEntries,
  optionValue,
  type UntypedOptions,
} from "../../../recipe/options/merge-options.js";
import { effortValues, isAmount, optionGroup } from "./efforts.js";

/** A step of the ladder from the least that is worth running to `best`. */
export interface Rung {
  /** The effort that it has reached: `quick` below that, too. */
  readonly name: EffortName;
  readonly values: UntypedOptions;
}

/** Steps from one effort to the next. */
const STEPS = 8;
/** What the lowest rung takes. */
const least: Readonly<Record<string, number>> = { samples: 4, context: 256 };

/**
 * What a run may take, from little to `best`: numbers grow from rung to rung by equal factors, passes by whole ones, and what
 * is no number is that of the effort that was reached.
 *
 * @param normal the options of `normal`, their context known
 */
export function effortLadder(recipe: RecipeName, given: UntypedOptions, normal: UntypedOptions): readonly Rung[] {
  const own = effortNames.map((name) => effortValues(name, recipe, given));
  const numbers = [...new Set(own.flatMap((values) => optionEntries(values).map(([name]) => name)))].filter(isAmount);
  const stages = own.map((values) => Object.fromEntries(numbers.map((name) => [name, numberIn(values, normal, name)])));
  const [quick = {}] = stages;
  const start = Object.fromEntries(numbers.map((name) => [name, Math.min(quick[name] ?? 1, lowest(name, quick))]));
  const rungs: Rung[] = [{ name: "quick", values: rungValues(start, own[0] ?? {}) }];
  for (const [i, stage] of stages.entries()) {
    const from = i === 0 ? start : (stages[i - 1] ?? start);
    for (let step = 1; step <= STEPS; step++) {
      const reached = step === STEPS ? i : Math.max(0, i - 1);
      const between = Object.fromEntries(
        numbers.map((name) => [name, grown(from[name] ?? 0, stage[name] ?? 0, step / STEPS)]),
      );
      rungs.push({ name: effortNames[reached] ?? "quick", values: rungValues(between, own[reached] ?? {}) });
    }
  }
  return rungs.filter((rung, i) => JSON.stringify(rung) !== JSON.stringify(rungs[i - 1]));
}

// End-to-end epochs are none where the stage is left out.
function numberIn(values: UntypedOptions, normal: UntypedOptions, name: string): number {
  if (name === "endToEnd.epochs" && values["finish"] === "none") return 0;
  const value = optionValue(values, name) ?? optionValue(normal, name);
  return typeof value === "number" ? value : 0;
}

function lowest(name: string, quick: Readonly<Record<string, number>>): number {
  return least[name] ?? Math.min(1, quick[name] ?? 1);
}

function grown(from: number, to: number, share: number): number {
  const value = from > 0 ? from * (to / from) ** share : to * share;
  // Passes that are not whole would only be promised.
  return value >= 256 ? Math.round(value / 16) * 16 : Math.floor(value + 1e-9);
}

function rungValues(numbers: Readonly<Record<string, number>>, own: UntypedOptions): UntypedOptions {
  const { finish, ...others } = own;
  const epochs = numbers["endToEnd.epochs"];
  const nested = Object.entries(numbers)
    .filter(([name, value]) => !(name === "endToEnd.epochs" && value === 0))
    .map(([name, value]) => optionGroup(name, value));
  const stage = epochs === 0 && finish !== undefined ? { finish } : {};
  return mergeOptions(others, stage, ...nested);
}
