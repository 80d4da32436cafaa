import { EngineClient } from "../run/engine/engine-client.js";
import type { VerifyEvent } from "../run/events/events.js";
import { runStarted } from "../run/events/run-started.js";
import { type Timed, timed } from "../run/events/timed.js";
import { resolveVerifyOptions } from "../run/options/commands/verify-options.js";
import type { VerifyInput } from "./generated/verify-input.js";

export type { VerifyInput } from "./generated/verify-input.js";

/**
 * Proves that the files of a result hold what was optimised: every tensor of every export is decoded and compared with
 * the result, and the result with the hashes that were recorded before it was written. Where a runtime is installed in
 * the user's project (`node-llama-cpp`), it computes logits on fixed tokens, to be compared with crossblock's own.
 * Writes `certificate.json` and `certificate.md` into the result's folder, or where `out` says. The event `certified` tells
 * whether everything agrees, and the verdict on files, runtimes and quality in three lines; damaged files are events (`disagreement`), never exceptions.
 *
 * @example
 * for await (const event of verifyResult({ result: "llama-w4" })) {
 *   if (event.event === "disagreement") console.log(event.path, event.tensor, event.what);
 * }
 * @throws OptionError, InputError for what is no result or no export; EnvironmentError when the certificate can't be
 *   written; the signal's reason when it was aborted.
 */
export async function* verifyResult(options: VerifyInput): AsyncGenerator<Timed<VerifyEvent>, void> {
  const started = performance.now();
  const { signal, ...given } = options;
  signal?.throwIfAborted();
  const resolved = resolveVerifyOptions(given);
  yield timed(runStarted("verify"));
  await using engine = new EngineClient();
  yield* engine.stream("verify", { options: resolved }, { signal });
  yield timed({
    event: "done",
    out: resolved.result,
    seconds: (performance.now() - started) / 1000,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    devicePeakBytes: null,
  });
}
