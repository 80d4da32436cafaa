/** Numbers as the page shows them. */
export const figures = {
  /** `118 MB` */
  bytes(value: number): string {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    let rest = value;
    while (rest >= 999.5 && unit < units.length - 1) {
      rest /= 1000;
      unit++;
    }
    return `${unit === 0 ? rest : threeDigits(rest)} ${units[unit]}`;
  },

  /** `12 min 3 s` */
  seconds(value: number): string {
    if (value < 10) return `${value.toFixed(1)} s`;
    const whole = Math.round(value);
    const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    if (hours > 0) return `${hours} h ${minutes} min`;
    return minutes > 0 ? `${minutes} min ${seconds} s` : `${seconds} s`;
  },

  /** `31 %`, `0.72 %` */
  percent(share: number): string {
    return `${threeDigits(share * 100)} %`;
  },

  /** `30.0` */
  perplexity(value: number): string {
    return value >= 1e5 ? value.toExponential(1) : value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
  },

  /** `0.0123`, `1.2e-7` */
  loss(value: number): string {
    if (!Number.isFinite(value)) return "no number";
    if (value === 0) return "0";
    return Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5 ? value.toExponential(1) : value.toPrecision(3);
  },

  count(value: number): string {
    return value.toLocaleString("en-US");
  },

  /** `2026-01-02 03:04 UTC` */
  moment(iso: string): string {
    return `${iso.slice(0, 16).replace("T", " ")} UTC`;
  },

  /** Where a value is drawn, so that no coordinate is longer than it has to be. */
  place(value: number): string {
    return Number.isFinite(value) ? String(Math.round(value * 100) / 100) : "0";
  },
};

function threeDigits(value: number): string {
  if (value === 0) return "0";
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1).replace(/\.0$/, "") : value >= 0.01 ? value.toFixed(2) : value.toPrecision(1);
}
