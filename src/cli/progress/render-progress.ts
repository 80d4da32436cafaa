import stringWidth from "string-width";
import { formatBytes, formatCount } from "../quantities.js";
import { type Colors, plainColors } from "../terminal/terminal-colors.js";
import { placeText } from "./places.js";
import type { ProgressState } from "./progress-tracker.js";

/** The lines of the live block, at most `width` columns each. */
export function render(state: ProgressState, width: number, colors: Colors = plainColors): string[] {
  const head = [state.title, position(state)].filter((part) => part !== null).join(", ");
  return [
    ...(head === "" ? [] : [colors.bold(cut(head, width))]),
    ...(state.fraction === null ? [] : [colors.cyan(cut(bar(state.fraction, Math.min(width, 60)), width))]),
    ...details(state).map((line) => cut(line, width)),
    colors.dim(cut(times(state), width)),
  ];
}

/** The same on one line, for logs. */
export function statusLine(state: ProgressState): string {
  const percent = state.fraction === null ? [] : [percentage(state.fraction)];
  return [...(position(state) === null ? [] : [position(state)]), ...percent, ...details(state), times(state)].join(
    ", ",
  );
}

/** Text from files, safe for a terminal: control characters, which could move its cursor, become spaces. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}

function position({ place }: ProgressState): string | null {
  return place === null ? null : placeText(place);
}

function details({ training, stage }: ProgressState): string[] {
  if (stage !== null) {
    const amount = stage.total > 0 ? ` ${formatCount(stage.done)} of ${formatCount(stage.total)}` : "";
    return [`${printable(stage.name)}${amount}`];
  }
  if (training === null) return [];
  const { epoch, loss, tokensPerSecond, counted = "tokens" } = training;
  const rate = `${formatCount(Math.round(tokensPerSecond))} ${counted}/s`;
  const where = epoch === null ? "" : `epoch ${epoch.number} of ${epoch.count}, `;
  return [`${where}loss ${formatLoss(loss)}, ${rate}`];
}

function times({ elapsedSeconds, remainingSeconds, memoryBytes }: ProgressState): string {
  const left = remainingSeconds === null ? "" : `, about ${clock(Math.ceil(remainingSeconds))} left`;
  return `elapsed ${clock(Math.floor(elapsedSeconds))}${left}, memory ${formatBytes(memoryBytes)}`;
}

/** Four digits, whatever the magnitude: losses span many of them. */
export function formatLoss(loss: number): string {
  return Math.abs(loss) >= 1e-3 && Math.abs(loss) < 1e4 ? loss.toPrecision(4) : loss.toExponential(3);
}

/** `0:05`, `12:40`, `2:03:00`. */
function clock(seconds: number): string {
  const two = (value: number): string => `${value}`.padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function percentage(fraction: number): string {
  return `${Math.floor(fraction * 100)} %`;
}

function bar(fraction: number, width: number): string {
  const label = ` ${percentage(fraction).padStart(5)}`;
  const cells = Math.max(0, width - label.length);
  const full = Math.floor(fraction * cells);
  return `${"█".repeat(full)}${"░".repeat(cells - full)}${label}`;
}

function cut(line: string, width: number): string {
  if (stringWidth(line) <= width) return line;
  let cut = "";
  let columns = 0;
  // What a reader sees as one character is never halved; many take two columns.
  for (const { segment } of new Intl.Segmenter().segment(line)) {
    columns += stringWidth(segment);
    if (columns > width) break;
    cut += segment;
  }
  return cut;
}
