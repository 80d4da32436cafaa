/** `1.5 MB`: decimal units, as disks and downloads count. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toPrecision(value >= 9.95 ? 3 : 2)} ${units[unit]}`;
}

/** `45 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

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

/** `1,234,567`. */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US");
}
