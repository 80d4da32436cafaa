/** `5 to 9 min`, `40 to 60 s`, `9 to 14 h`: rounded as one speaks of what is not known exactly. */
export function formatRange(range: readonly [from: number, to: number]): string {
  const { low, high, name } = shownRange(range);
  return low === high ? `about ${low} ${name}` : `${low} to ${high} ${name}`;
}

/** The seconds at the upper end of a range as it is shown, which is rounded up. */
export function shownEnd(range: readonly [from: number, to: number]): number {
  const { high, unit } = shownRange(range);
  return high * unit;
}

function shownRange([from, to]: readonly [from: number, to: number]): {
  readonly low: number;
  readonly high: number;
  readonly unit: number;
  readonly name: string;
} {
  const [unit, name, step] = to < 120 ? [1, "s", 5] : to < 7200 ? [60, "min", 1] : [3600, "h", 1];
  const low = Math.max(step, Math.floor(from / unit / step) * step);
  return { low, high: Math.max(low, Math.ceil(to / unit / step) * step), unit, name };
}
