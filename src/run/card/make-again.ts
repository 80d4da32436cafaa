import { basename } from "node:path";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { CrossblockError } from "../../errors.js";
import type { EffortName } from "../../recipe/options/efforts.js";
import { optionEntries } from "../../recipe/options/merge-options.js";
import { circumstances } from "../journal/run-identity.js";
import { bundled, selfGenerated, textPaths } from "../options/calibration-option.js";
import { effortNamed, effortValues } from "../options/effort/efforts.js";
import { mayBeRead, readerContext } from "../options/option-use.js";
import { type GivenOptions, resolveOver, runOptionsSchema, schemeOf } from "../options/options.js";
import type { CardRecord } from "./card-record.js";

/** Options that have their own place in the command, or none. */
const placed: ReadonlySet<string> = new Set([
  ...circumstances,
  ...["model", "revision", "scheme", "asym", "recipe", "preset", "calibration", "format"],
]);
/** Options that are flags of the same name. */
const flags: ReadonlySet<string> = new Set(["samples", "context", "seed", "finish"]);

/** What of a record the command is made of. */
type Recorded = Pick<CardRecord, "options" | "origin" | "effort"> & Partial<Pick<CardRecord, "calibration">>;

/**
 * The command that makes a result again, where model and text lie in the working folder: what differs from the defaults of its recipe,
 * preset and effort. Effort and text are named even where the run chose them itself: another machine would choose others. Null for
 * a record of another version, whose options may mean something else now.
 */
export function makeAgainCommand({ options: recorded, origin, effort, calibration: read }: Recorded): string | null {
  const parsed = runOptionsSchema.safeParse(recorded);
  if (!parsed.success) return null;
  const options = parsed.data;
  const { recipe, preset, scheme, asym, format } = options;
  const chosenText = [bundled, selfGenerated].filter((text) => text === read?.source);
  const calibration = options.calibration.length > 0 ? options.calibration : chosenText;
  const effortName = effortNamed(effort?.name);
  const texts = new Set(textPaths(options));
  const isHub = /^[^./][^/]*\/[^/]+$/.test(options.model);
  const revision = isHub ? (origin?.commit ?? options.revision) : null;
  const changed = changedOptions(options, effortName);
  if (changed === null) return null;
  const model = isHub ? options.model : `./${basename(options.model)}`;
  const named = calibration.map((text) => (texts.has(text) ? `./${basename(text)}` : text));
  return [
    "npx crossblock quantize",
    shellWord(model),
    ...flag("--revision", revision),
    ...flag("--scheme", scheme),
    ...(asym ? ["--asym"] : []),
    ...flag("--recipe", recipe),
    ...(preset === "default" ? [] : flag("--preset", preset)),
    ...flag("--calibration", ...named),
    ...flag("--effort", effortName),
    ...changed.flatMap(([name, value]) => words(name, value)),
    ...(format.length > 1 ? flag("--format", format.slice(1).join(",")) : []),
    "--out OUT",
  ].join(" ");
}

function flag(name: string, ...values: readonly (string | null)[]): string[] {
  const given = values.filter((value) => value !== null);
  return given.length === 0 ? [] : [name, ...given.map(shellWord)];
}

function changedOptions(
  options: GivenOptions,
  effort: EffortName | null,
): readonly (readonly [string, unknown])[] | null {
  const { model, recipe, preset, scheme, asym, calibration, format, out } = options;
  let defaults: GivenOptions;
  try {
    const values = effort === null ? {} : effortValues(effort, recipe, { preset, model });
    defaults = resolveOver(values, { model, recipe, preset, scheme, asym, calibration, format, out });
  } catch (error) {
    if (error instanceof CrossblockError) return null;
    throw error;
  }
  const context = readerContext(options, schemeOf(options));
  const before = new Map(optionEntries(defaults));
  return optionEntries(options).filter(
    ([name, value]) =>
      !placed.has(name) && JSON.stringify(before.get(name)) !== JSON.stringify(value) && mayBeRead(name, context),
  );
}

function words(name: string, value: unknown): string[] {
  if (name === "deterministic" && value === true) return ["--deterministic"];
  const text = typeof value === "string" && !isJson(value) ? value : JSON.stringify(value);
  return flags.has(name) ? flag(`--${name}`, String(value)) : flag("--set", `${name}=${text}`);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
