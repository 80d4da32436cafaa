import { primaryFormat } from "../format/exporters.js";
import { EngineClient } from "../run/engine/engine-client.js";
import type { DoneEvent, QuantizeEvent } from "../run/events/events.js";
import { runStarted } from "../run/events/run-started.js";
import { type Timed, timed } from "../run/events/timed.js";
import { checkGuarded, checkTarget } from "../run/job/check-places.js";
import { existingResult } from "../run/job/existing-result.js";
import { WorkDirectory } from "../run/journal/work-directory.js";
import { resolveOptions } from "../run/options/options.js";
import { keepAll, OutputFolder } from "../run/result/output-folder.js";
import { replacedEvent } from "../run/result/replaced-event.js";
import { resultContents } from "../run/result/result-contents.js";
import { fixWorkspaces } from "../tensor/index.js";
import type { QuantizeOptions } from "./generated/quantize-options.js";

export type { QuantizeOptions } from "./generated/quantize-options.js";

/**
 * Quantizes the model in a folder, or an ONNX file, and writes the result to another folder; yields what happens on the way.
 *
 * The work runs in a worker thread and waits when events are not consumed. The result appears
 * complete at the end or not at all, also when `signal` is aborted or the loop is left. Finished windows
 * are kept in the work directory, and the same options continue after them. A finished result is never replaced unless
 * `force` is set: where the same options made it, `already-there` follows `run` and nothing is done.
 *
 * @example
 * for await (const event of quantize({ model: "llama", scheme: "W4A16g64", calibration: "texts", out: "llama-w4" })) {
 *   if (event.event === "window-done") console.log(event.window, event.lossAfter?.total);
 * }
 * @throws OptionError, CheckpointError, ModelError, CalibrationError for bad input; EnvironmentError
 *   for what the machine lacks; the signal's reason when it was aborted.
 */
export async function* quantize(options: QuantizeOptions): AsyncGenerator<Timed<QuantizeEvent>, void> {
  const started = performance.now();
  const { signal, ...given } = options;
  signal?.throwIfAborted();
  const resolved = resolveOptions({ ...given });
  const run = runStarted("quantize");
  await checkGuarded(resolved);
  if (!resolved.dryRun) await OutputFolder.recover(resolved.out);
  const existing = resolved.force ? null : await existingResult(resolved, given);
  const done = (devicePeakBytes: number | null): DoneEvent => ({
    event: "done",
    out: resolved.dryRun ? null : resolved.out,
    seconds: (performance.now() - started) / 1000,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    devicePeakBytes,
  });
  yield timed(run);
  if (existing !== null) {
    const { scheme, created } = existing;
    const [format = primaryFormat] = resolved.format;
    yield timed({ event: "already-there", format, path: resolved.out, scheme, created });
    yield timed(done(null));
    return;
  }
  await checkTarget(resolved.out, resolved);
  if (resolved.dryRun) await WorkDirectory.check(resolved);
  await using folder = resolved.dryRun ? null : await OutputFolder.create(resolved.out);
  using work = resolved.dryRun ? null : await WorkDirectory.open(resolved);
  if (resolved.deterministic) fixWorkspaces();
  await using engine = new EngineClient();
  const folders = folder === null || work === null ? null : { staging: folder.staging, work: work.path };
  const summary = yield* engine.stream("quantize", { options: resolved, given, folders, run: run.id }, { signal });
  const replaced = (await folder?.commit(resolved.force ? resultContents : keepAll)) ?? null;
  work?.remove();
  if (replaced !== null) yield timed(replacedEvent(resolved.out, replaced));
  yield timed(done(summary.devicePeakBytes));
}
