import { fixWorkspaces } from "../tensor/index.js";
import { EngineClient } from "./engine-client.js";
import type { QuantizeEvent } from "./events.js";
import { type RunOptionsInput, resolveOptions } from "./options.js";
import { OutputFolder } from "./output-folder.js";
import { WorkDirectory } from "./work-directory.js";

/** Options of `quantize`: those of the command line by the same names, and a signal that stops it. */
export type QuantizeOptions = RunOptionsInput & { readonly signal?: AbortSignal | undefined };

/**
 * Quantizes the model in a folder and writes the result to another; yields what happens on the way.
 *
 * The work runs in a worker thread and waits when events are not consumed. The result appears
 * complete at the end or not at all, also when `signal` is aborted or the loop is left. Finished windows
 * are kept in the work directory, and the same options continue behind them.
 *
 * @example
 * for await (const event of quantize({ model: "llama", scheme: "W4A16g64", calibration: ["texts"], out: "llama-w4" })) {
 *   if (event.event === "window-done") console.log(event.window, event.lossAfter?.total);
 * }
 * @throws OptionError, CheckpointError, ModelError, CalibrationError for bad input; EnvironmentError
 *   for what the machine lacks; the signal's reason when it was aborted.
 */
export async function* quantize(options: QuantizeOptions): AsyncGenerator<QuantizeEvent, void> {
  const started = performance.now();
  const { signal, ...given } = options;
  signal?.throwIfAborted();
  const resolved = resolveOptions(given);
  if (resolved.dryRun) {
    await OutputFolder.check(resolved.out, resolved);
  }
  await using folder = resolved.dryRun ? null : await OutputFolder.create(resolved.out, resolved);
  using work = resolved.dryRun ? null : await WorkDirectory.open(resolved);
  if (resolved.deterministic) fixWorkspaces();
  await using engine = new EngineClient();
  const folders = folder === null || work === null ? null : { staging: folder.staging, work: work.path };
  const summary = yield* engine.stream("quantize", { options: resolved, folders }, { signal });
  await folder?.commit();
  work?.remove();
  yield {
    event: "done",
    out: folder === null ? null : resolved.out,
    seconds: (performance.now() - started) / 1000,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    devicePeakBytes: summary.devicePeakBytes,
  };
}
