import type {
  AllocationEvent,
  AlreadyThereEvent,
  ExportedEvent,
  ReplacedEvent,
  ReportEvent,
  RunEvent,
  TensorLoss,
  WindowDoneEvent,
} from "../run/events/events.js";
import { moreEffort, timeText } from "./plan-text.js";
import { Places, placeText } from "./progress/places.js";
import { formatLoss, printable } from "./progress/render-progress.js";
import { formatBytes, formatCount, formatSeconds } from "./quantities.js";

/** What stays on the screen and in the log once an event has passed; most events leave nothing. */
export class EventNotes {
  #places = new Places(null);
  /** Of blocks that are only rounded, which are told of together. */
  #rounded: WindowDoneEvent[] = [];

  of(event: RunEvent): string[] {
    return this.#notes(event).map(printable);
  }

  #notes(event: RunEvent): string[] {
    switch (event.event) {
      case "plan":
        this.#places = new Places(event);
        this.#rounded = [];
        return plainNotes(event);
      case "continued": {
        const done = this.#places.ofWindow(event.window - 1, event.windows);
        return [`continuing after ${placeText(done)}, saved in ${event.work}`];
      }
      case "window-done":
        return this.#windowNotes(event);
      case "report":
        return this.#reportNotes(event);
      default:
        return plainNotes(event);
    }
  }

  #windowNotes(event: WindowDoneEvent): string[] {
    const place = this.#places.at(event);
    const plain = place.unit === "block" && event.lossAfter === null && this.#places.onlyRounds;
    if (!plain) return [windowNote(event, placeText(place))];
    this.#rounded.push(event);
    if (place.number < place.count) return [];
    const seconds = this.#rounded.reduce((sum, each) => sum + each.seconds, 0);
    const layers = this.#rounded.flatMap((each) => each.layers);
    const count = this.#rounded.length;
    return [windowNote({ ...event, layers, seconds }, `${count} ${count === 1 ? "block" : "blocks"} rounded`)];
  }

  #reportNotes({ worstLayer, slowestWindow }: ReportEvent): string[] {
    // One line says it all already.
    if (this.#rounded.length > 0 && slowestWindow !== null) return [];
    const worst = worstLayer === null ? [] : [`worst layer: ${worstLayer.name} (${percent(worstLayer.relativeError)})`];
    if (slowestWindow === null) return worst;
    const place = this.#places.at({ ...slowestWindow, windows: this.#places.windows ?? slowestWindow.window + 1 });
    return [...worst, `slowest: ${placeText(place)}, ${formatSeconds(slowestWindow.seconds)}`];
  }
}

function plainNotes(event: RunEvent): string[] {
  switch (event.event) {
    case "calibrate": {
      const { source: kind, documents, tokens, sequences, context } = event;
      if (kind === "self-generated") {
        return [
          `calibration: ${formatCount(sequences)} sequences of ${formatCount(context)} tokens that the model made up`,
        ];
      }
      if (kind === "images" || kind === "tensors") {
        const what = kind === "images" ? "images" : "examples";
        return [`calibration: ${formatCount(sequences)} of ${formatCount(documents)} ${what} chosen`];
      }
      const of = kind === "bundled" ? "documents of the bundled text" : "documents";
      const source = `${formatCount(tokens)} tokens of ${formatCount(documents)} ${of}`;
      return [`calibration: ${source}, ${formatCount(sequences)} sequences of ${formatCount(context)} chosen`];
    }
    case "plan": {
      const more = moreEffort(event);
      return [`planned: ${timeText(event)}`, ...(more === null ? [] : [`effort: ${more}`])];
    }
    case "allocation":
      return [allocationNote(event)];
    case "warning":
      return [`warning: ${event.where}: ${event.message}; next: ${event.next}`];
    case "replaced":
      return replacedNotes(event);
    case "exported":
      return exportNotes(event);
    // The command says it in the end.
    case "run":
    case "quality":
    case "outputs":
    case "sizes":
    case "already-there":
    case "disagreement":
    case "verified":
    case "certified":
    case "export-plan":
    case "progress":
    // These are told by what came before them.
    case "continued":
    case "window-done":
    case "report":
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
  return [`wrote ${format}, ${formatBytes(bytes)} of weights: ${path}`, ...notes.map((note) => `  ${note}`), ...lost];
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

function windowNote({ lossBefore, lossAfter, layers, seconds }: WindowDoneEvent, where: string): string {
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
  return `${where}: ${parts.join(", ")}`;
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
