import { OptionError } from "../../../errors.js";

const units: Readonly<Record<string, number>> = { s: 1, sec: 1, m: 60, min: 60, h: 3600, d: 86400 };

/**
 * Seconds of a time as one writes it: `90s`, `20min`, `1h30`, `2 h`, `1h 15min`. A number behind hours that has no unit counts
 * minutes.
 *
 * @throws OptionError when it is none, or none that passes
 */
export function parseDuration(text: string): number {
  let rest = text.trim().toLowerCase();
  let seconds = 0;
  let before = Number.POSITIVE_INFINITY;
  while (rest !== "") {
    const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)\s*/.exec(rest);
    const unit = match?.[2] === "" && before === 3600 ? 60 : units[match?.[2] ?? ""];
    // Units fall: `5min 2h` is a slip.
    if (match === null || unit === undefined || unit >= before) throw noDuration(text);
    seconds += Number(match[1]) * unit;
    before = unit;
    rest = rest.slice(match[0].length);
  }
  if (!(seconds > 0 && Number.isFinite(seconds))) throw noDuration(text);
  return seconds;
}

function noDuration(text: string): OptionError {
  return new OptionError({
    where: 'option "time"',
    what: `"${text}" is no length of time`,
    next: "write it like 90s, 20min, 1h30 or 2h",
  });
}
