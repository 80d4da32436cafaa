import { InputError } from "../../errors.js";
import { exportOptionsShape } from "../../format/contract/export-options.js";
import { optionEntries, type UntypedOptions } from "../../recipe/options/merge-options.js";
import { mayBeRead, readerContext } from "../options/option-use.js";
import { type GivenOptions, schemeOf } from "../options/options.js";

/** What decides the codes of a run, by names that people read. */
export type RunIdentity = Readonly<Record<string, string>>;

/** What an identity is made of, beside the options. */
export interface IdentityParts {
  /** Hash of all weights and of `config.json`. */
  readonly model: string;
  /** Hash of `tokenizer.json`; null where no text is read. */
  readonly tokenizer: string | null;
  /** Hash of the calibration sequences; null without text. */
  readonly calibration: string | null;
  /** Version of crossblock. */
  readonly version: string;
  /** libtorch and the device. */
  readonly engine: string;
}

/** Options that change where and how fast a result is made, and nothing of it. */
export const circumstances: readonly string[] = [
  // What they come to are the values of other options.
  "effort",
  "time",
  "out",
  "work",
  "maxMemory",
  "fresh",
  "force",
  "dryRun",
  "score",
  "report",
  "samplesGrid",
  "device",
  "streams.storage",
  "selfGenerated.batch",
  "compute.threads",
  "window.microBatch",
];

/**
 * Options that change where and how fast, but no code; and those whose effect another part covers:
 * the model and the text by what they hold rather than by where they lie, the preset by its values.
 */
const immaterial: readonly string[] = [
  "model",
  "revision",
  "preset",
  "calibration",
  "format",
  ...Object.keys(exportOptionsShape),
  ...circumstances,
];

/** The parts and every option that can change a code of this run, by dotted name. */
export function identityOf(parts: IdentityParts, options: GivenOptions): RunIdentity {
  const { model, tokenizer, calibration, version, engine } = parts;
  const context = readerContext(options, schemeOf(options));
  return {
    crossblock: version,
    engine,
    model,
    ...(tokenizer !== null && { tokenizer }),
    ...(calibration !== null && { "calibration tokens": calibration }),
    ...Object.fromEntries(
      [...optionLeaves(options, immaterial)]
        .filter(([name]) => mayBeRead(name, context))
        .map(([name, value]) => [`option ${name}`, value]),
    ),
  };
}

/**
 * Refuses to continue a run with other parameters than it began with.
 *
 * @throws InputError with the list of what changed, and the two ways out
 */
export function checkSameRun(saved: RunIdentity, now: RunIdentity, folder: string): void {
  const names = [...new Set([...Object.keys(saved), ...Object.keys(now)])];
  const changed = names.filter((name) => saved[name] !== now[name]);
  if (changed.length === 0) return;
  throw new InputError({
    where: folder,
    what: "an unfinished run of other parameters is saved here",
    why: `changed: ${changed.map((name) => `${name} ${shown(saved[name])} -> ${shown(now[name])}`).join("; ")}`,
    next: "run the earlier command again to continue it, give --fresh to discard it, or choose another --work folder",
  });
}

/** Options by dotted name, their values as JSON; `without` names those that are left out. */
export function optionLeaves(options: object, without: readonly string[]): ReadonlyMap<string, string> {
  const left = optionEntries(options as UntypedOptions).filter(([name]) => !without.includes(name));
  return new Map(left.map(([name, value]) => [name, JSON.stringify(value)]));
}

function shown(value: string | undefined): string {
  if (value === undefined) return "none";
  return /^[0-9a-f]{64}$/.test(value) ? `${value.slice(0, 8)}...` : value;
}
