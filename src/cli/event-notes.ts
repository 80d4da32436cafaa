import type {
  AllocationEvent,
  AlreadyThereEvent,
  ExportedEvent,
  ReplacedEvent,
  RunEvent,
  TensorLoss,
  WindowDoneEvent,
} from "../run/events/events.js";
import { blockRange, formatLoss, printable } from "./progress/render-progress.js";
import { formatBytes, formatCount, formatSeconds } from "./quantities.js";

/** What stays on the screen and in the log once an event has passed; most events leave nothing. */
export function notesOf(event: RunEvent): string[] {
  return plainNotes(event).map(printable);
}

function plainNotes(event: RunEvent): string[] {
  switch (event.event) {
    case "calibrate": {
      const { source: kind, documents, tokens, windows, context } = event;
      if (kind === "self-generated") {
        return [
          `calibration: ${formatCount(windows)} sequences of ${formatCount(context)} tokens that the model made up`,
        ];
      }
      const source = `${formatCount(tokens)} tokens of ${formatCount(documents)} documents`;
      return [`calibration: ${source}, ${formatCount(windows)} sequences of ${formatCount(context)} chosen`];
    }
    case "continued":
      return [`continuing after window ${event.window} of ${event.windows}, saved in ${event.work}`];
    case "allocation":
      return [allocationNote(event)];
    case "window-done":
      return [windowNote(event)];
    case "warning":
      return [`warning: ${event.where}: ${event.message}; next: ${event.next}`];
    case "replaced":
      return replacedNotes(event);
    case "exported":
      return exportNotes(event);
    case "report": {
      const { worstLayer, slowestWindow } = event;
      const worst =
        worstLayer === null ? [] : [`worst layer: ${worstLayer.name} (${percent(worstLayer.relativeError)})`];
      const slowest =
        slowestWindow === null
          ? []
          : [
              `slowest window: ${slowestWindow.window + 1} (${blockRange(slowestWindow.blocks)}), ` +
                formatSeconds(slowestWindow.seconds),
            ];
      return [...worst, ...slowest];
    }
    // The command says it in the end.
    case "already-there":
    case "disagreement":
    case "verified":
    case "certified":
    case "plan":
    case "export-plan":
    case "progress":
    case "window-start":
    case "step":
    case "exporting":
    case "done":
      return [];
  }
}

function exportNotes({ format, path, bytes, notes, losses }: ExportedEvent): string[] {
  const worst = losses.reduce<TensorLoss | null>(
    (most, loss) => (most === null || loss.relativeError > most.relativeError ? loss : most),
    null,
  );
  const lost =
    worst === null
      ? []
      : [
          `  ${losses.length} ${losses.length === 1 ? "tensor is" : "tensors are"} not exact: worst ${worst.tensor} as ` +
            `${worst.type}, relative squared error ${worst.relativeError.toPrecision(2)}`,
        ];
  return [`wrote ${format}, ${formatBytes(bytes)}: ${path}`, ...notes.map((note) => `  ${note}`), ...lost];
}

/** Says that nothing had to be done. */
export function alreadyThereNote({ path, format, scheme, created }: AlreadyThereEvent): string {
  const made = created === null ? "" : `, made ${created.slice(0, 16).replace("T", " ")} UTC`;
  return `${path}: is there already (${[scheme, format].filter((part) => part !== null).join(", ")}${made}); nothing was done`;
}

function replacedNotes({ path, removed, movedTo, moved }: ReplacedEvent): string[] {
  const files = (count: number): string => `${formatCount(count)} ${count === 1 ? "file" : "files"}`;
  const names = moved.slice(0, 5).join(", ") + (moved.length > 5 ? ", ..." : "");
  return [
    ...(removed > 0 ? [`replaced ${path}: ${files(removed)} of an earlier result removed`] : []),
    ...(movedTo === null ? [] : [`moved what else was in ${path} to ${movedTo}: ${names}`]),
  ];
}

function windowNote({ window, windows, blocks, lossBefore, lossAfter, layers, seconds }: WindowDoneEvent): string {
  const loss =
    lossBefore === null || lossAfter === null
      ? []
      : [`loss ${formatLoss(lossBefore.total)} -> ${formatLoss(lossAfter.total)}`];
  const worst = layers.reduce<(typeof layers)[number] | null>(
    (most, layer) => (most === null || layer.relativeError > most.relativeError ? layer : most),
    null,
  );
  const worstLayer = worst === null ? [] : [`worst ${worst.name} (${percent(worst.relativeError)})`];
  const parts = [...loss, ...worstLayer, formatSeconds(seconds)];
  return `window ${window + 1} of ${windows} (${blockRange(blocks)}): ${parts.join(", ")}`;
}

function allocationNote({ budget, meanBits, bitsPerWeight, bits }: AllocationEvent): string {
  const counts = new Map<number, number>();
  for (const width of Object.values(bits)) counts.set(width, (counts.get(width) ?? 0) + 1);
  const shares = [...counts].sort(([a], [b]) => a - b).map(([width, count]) => `${width} bits ${count}`);
  return (
    `bits shared out: ${meanBits.toFixed(3)} a code of ${budget} allowed, ${bitsPerWeight.toFixed(3)} a weight with ` +
    `scales; Linears: ${shares.join(", ")}`
  );
}

function percent(relativeError: number): string {
  return `relative error ${(relativeError * 100).toPrecision(3)} %`;
}
