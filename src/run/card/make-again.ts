import { basename } from "node:path";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { CrossblockError } from "../../errors.js";
import { optionEntries } from "../../recipe/options/merge-options.js";
import { circumstances } from "../journal/run-identity.js";
import { textPaths } from "../options/calibration-option.js";
import { mayBeRead, readerContext } from "../options/option-use.js";
import { type GivenOptions, resolveOptions, runOptionsSchema, schemeOf } from "../options/options.js";
import type { CardRecord } from "./card-record.js";

/** Options that have their own place in the command, or none. */
const placed: ReadonlySet<string> = new Set([
  ...circumstances,
  ...["model", "revision", "scheme", "asym", "recipe", "preset", "calibration", "format"],
]);
/** Options that are flags of the same name. */
const flags: ReadonlySet<string> = new Set(["samples", "context", "seed", "finish"]);

/**
 * The command that makes a result again, where model and text lie in the working folder: what differs from the defaults of its recipe and
 * preset. Null for a record of another version, whose options may mean something else now.
 */
export function makeAgainCommand({ options: recorded, origin }: Pick<CardRecord, "options" | "origin">): string | null {
  const parsed = runOptionsSchema.safeParse(recorded);
  if (!parsed.success) return null;
  const options = parsed.data;
  const { recipe, preset, scheme, asym, calibration, format } = options;
  const texts = new Set(textPaths(options));
  const isHub = /^[^./][^/]*\/[^/]+$/.test(options.model);
  const revision = isHub ? (origin?.commit ?? options.revision) : null;
  const changed = changedOptions(options);
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
    ...changed.flatMap(([name, value]) => words(name, value)),
    ...(format.length > 1 ? flag("--format", format.slice(1).join(",")) : []),
    "--out OUT",
  ].join(" ");
}

function flag(name: string, ...values: readonly (string | null)[]): string[] {
  const given = values.filter((value) => value !== null);
  return given.length === 0 ? [] : [name, ...given.map(shellWord)];
}

function changedOptions(options: GivenOptions): readonly (readonly [string, unknown])[] | null {
  const { model, recipe, preset, scheme, asym, calibration, format, out } = options;
  let defaults: GivenOptions;
  try {
    defaults = resolveOptions({ model, recipe, preset, scheme, asym, calibration, format, out });
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
