import { OptionError } from "../../errors.js";

/**
 * Runs `resolve`; an option that it refuses is named as the flag by which it was given: `--format` in place of option "format".
 *
 * @param flags what the command line had, by the options' names
 */
export function inFlagTerms<T>(flags: Readonly<Record<string, unknown>>, resolve: () => T): T {
  try {
    return resolve();
  } catch (error) {
    throw flagTerms(flags, error);
  }
}

/** The same for an error that is there: what only the plan can refuse, a budget that no Linear fits into, is named as a flag too. */
export function flagTerms(flags: Readonly<Record<string, unknown>>, error: unknown): unknown {
  const name = error instanceof OptionError ? /^option "(\w+)"$/.exec(error.where ?? "")?.[1] : undefined;
  if (!(error instanceof OptionError) || name === undefined || flags[name] === undefined) return error;
  const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const { what, why, next } = error;
  return new OptionError({ where: flag, what, ...(why !== undefined && { why }), next, cause: error });
}
