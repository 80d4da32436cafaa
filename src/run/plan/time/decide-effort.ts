import { z } from "zod";
import { BUNDLED_TOKENS } from "../../../calibration/bundled/bundled-text.js";
import { OptionError } from "../../../errors.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import {
  mergeOptions,
  optionEntries,
  optionValue,
  type UntypedOptions,
} from "../../../recipe/options/merge-options.js";
import type { Device } from "../../../tensor/index.js";
import type { PlannedEffort } from "../../events/planned-effort.js";
import { isBundled } from "../../options/calibration-option.js";
import {
  defaultEffort,
  type EffortChoice,
  effortNamed,
  effortValues,
  optionGroup,
} from "../../options/effort/efforts.js";
import { effortLadder, type Rung } from "../../options/effort/ladder.js";
import { type GivenOptions, resolveOver } from "../../options/options.js";
import { parseDuration } from "../../options/parse/parse-duration.js";
import { needsTokens } from "../plan.js";
import { formatRange } from "./range-text.js";

/** What an effort is decided by. */
export interface EffortInput {
  /** The options as the user wrote them. */
  readonly given: UntypedOptions;
  /** The same with the defaults of `normal`. */
  readonly options: GivenOptions;
  readonly device: Device;
  /** Longest sequences that the model was made for, and those that are taken where nothing says so. */
  readonly maxPositions: number;
  readonly context: number;
  /** What an earlier session of the run has written of its plan; a run that continues trains as much as it began with. */
  readonly saved: unknown;
}

/** Options whose every value is known, and how that came. */
export interface DecidedEffort {
  readonly options: GivenOptions;
  readonly effort: PlannedEffort | null;
}

/** Says between which seconds a run of these options is expected to end. */
type Expect = (options: GivenOptions) => readonly [from: number, to: number];

const savedPlan = z.object({
  effort: z.object({
    name: z.string(),
    chosen: z.literal("time"),
    time: z.string(),
    values: z.record(z.string(), z.unknown()),
  }),
});

/** The options of the effort that is given or that goes with the device; where there is a time instead, those of `normal`. */
export function namedEffort(input: EffortInput): DecidedEffort {
  const { given, options, device } = input;
  if (!needsTokens(options)) return { options, effort: null };
  const name = options.effort ?? (options.time === null ? defaultEffort(device, options.preset) : "normal");
  return decided(
    input,
    { name, values: effortValues(name, options.recipe, given) },
    options.effort === null ? "device" : "given",
  );
}

/**
 * What a run trains: the named effort, with the time of more where the device chose little; or as much as fits into a time.
 *
 * @throws OptionError for a time that is too short for the least, which it says
 */
export function decideEffort(input: EffortInput, expect: Expect): DecidedEffort {
  const { given, options } = input;
  const named = namedEffort(input);
  if (named.effort === null) return named;
  if (options.time !== null) return withinTime(input, options.time, expect);
  const trainsMore = recipeOf(options.recipe).efforts !== undefined;
  if (named.effort.chosen !== "device" || named.effort.name !== "quick" || !trainsMore) return named;
  const normal = decided(input, { name: "normal", values: effortValues("normal", options.recipe, given) }, "device");
  return { ...named, effort: { ...named.effort, more: { name: "normal", range: expect(normal.options) } } };
}

function withinTime(input: EffortInput, time: string, expect: Expect): DecidedEffort {
  const saved = savedPlan.safeParse(input.saved);
  if (saved.success && saved.data.effort.time === time) {
    const { name, values } = saved.data.effort;
    return decided(input, { name: effortNamed(name) ?? "quick", values }, "time");
  }
  const seconds = parseDuration(time);
  const rungs = effortLadder(input.options.recipe, input.given, { ...input.options, context: input.context });
  const choices = rungs.map((rung) => decided(input, rung, "time"));
  const fits = choices.findLast(({ options }) => expect(options)[1] <= seconds);
  if (fits !== undefined) return fits;
  // As the plan will say it, so that what is run next does not seem to contradict it.
  const least = choices
    .map(({ options }) => expect(options))
    .reduce((shortest, range) => (range[1] < shortest[1] ? range : shortest));
  throw new OptionError({
    where: 'option "time"',
    what: `${time} is too short: the least that this run can be planned to take here is ${formatRange(least)}`,
    why: ownChoices(input.given),
    // What is measured once more may be slower.
    next: `give --time ${timeOf(least[1] * 1.3)}, or --recipe rtn, which trains nothing`,
  });
}

function timeOf(seconds: number): string {
  return seconds < 120 ? `${Math.ceil(seconds / 5) * 5}s` : `${Math.ceil(seconds / 60)}min`;
}

function ownChoices(given: UntypedOptions): string {
  const names = optionEntries(given).map(([name]) => name);
  const own = names.filter((name) => name === "samples" || name === "context" || name.endsWith("epochs"));
  return own.length === 0
    ? "fewer sequences and passes are not worth running"
    : `${own.join(", ")} are as you gave them`;
}

function decided(input: EffortInput, { name, values }: Rung, chosen: EffortChoice): DecidedEffort {
  const { given, maxPositions } = input;
  const { context } = values;
  const within = typeof context === "number" ? { ...values, context: Math.min(context, maxPositions) } : values;
  const { fitting, wanted } = withinText(input, within);
  const options = resolveOver(fitting, given);
  const set = withoutGiven(fitting, given);
  return { options, effort: { name, chosen, time: options.time, values: set, wanted, more: null } };
}

// Of the text that comes with the package an effort takes what there is; a text of the user's may be longer.
function withinText(
  { given, options, context: usual }: EffortInput,
  values: UntypedOptions,
): { readonly fitting: UntypedOptions; readonly wanted: number | null } {
  const samples = values["samples"];
  const context = given["context"] ?? values["context"] ?? usual;
  const all = { fitting: values, wanted: null };
  if (!isBundled(options) || typeof samples !== "number" || typeof context !== "number") return all;
  const most = Math.floor(BUNDLED_TOKENS / context);
  if (samples <= most || given["samples"] !== undefined) return all;
  return { fitting: { ...values, samples: most }, wanted: samples };
}

// What the user left open of what an effort sets.
function withoutGiven(values: UntypedOptions, given: UntypedOptions): UntypedOptions {
  const open = optionEntries(values).filter(([name]) => optionValue(given, name) === undefined);
  return mergeOptions(...open.map(([name, value]) => optionGroup(name, value)));
}
