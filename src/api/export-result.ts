import { EngineClient } from "../run/engine/engine-client.js";
import type { ExportEvent } from "../run/events/events.js";
import { runStarted } from "../run/events/run-started.js";
import { type Timed, timed } from "../run/events/timed.js";
import { resolveExportOptions } from "../run/options/commands/export-result-options.js";
import type { ExportResultInput } from "./generated/export-result-input.js";

export type { ExportResultInput } from "./generated/export-result-input.js";

/**
 * Writes a finished result in other formats, from its codes, bit for bit: what `quantize` with the same formats would
 * have written. Yields what happens on the way. One tensor is in memory at a time; every export appears complete or not
 * at all, also when `signal` is aborted or the loop is left. libtorch is not needed.
 *
 * @example
 * for await (const event of exportResult({ result: "llama-w4", format: ["gguf", "gptq"] })) {
 *   if (event.event === "exported") console.log(event.path, event.losses.length === 0 ? "exact" : event.losses);
 * }
 * @throws OptionError, CheckpointError for bad input; FormatError for what a format can't hold, before anything is
 *   written; EnvironmentError when writing fails; the signal's reason when it was aborted.
 */
export async function* exportResult(options: ExportResultInput): AsyncGenerator<Timed<ExportEvent>, void> {
  const started = performance.now();
  const { signal, ...given } = options;
  signal?.throwIfAborted();
  const resolved = resolveExportOptions(given);
  yield timed(runStarted("export"));
  await using engine = EngineClient.forStreaming();
  yield* engine.stream("export", { options: resolved }, { signal });
  yield timed({
    event: "done",
    out: resolved.out ?? resolved.result,
    seconds: (performance.now() - started) / 1000,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    devicePeakBytes: null,
  });
}
