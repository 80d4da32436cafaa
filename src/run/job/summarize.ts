import type { ReportEvent, WindowDoneEvent } from "../events/events.js";

/** Where quality and time of a run went. */
export function summarize(windows: readonly WindowDoneEvent[]): ReportEvent {
  const layers = windows.flatMap((window) => window.layers);
  const worst = layers.reduce<ReportEvent["worstLayer"]>(
    (best, layer) => (best === null || layer.relativeError > best.relativeError ? layer : best),
    null,
  );
  const slowest = windows.reduce<WindowDoneEvent | null>(
    (best, window) => (best === null || window.seconds > best.seconds ? window : best),
    null,
  );
  return {
    event: "report",
    worstLayer: worst,
    slowestWindow:
      slowest === null ? null : { window: slowest.window, blocks: slowest.blocks, seconds: slowest.seconds },
  };
}
