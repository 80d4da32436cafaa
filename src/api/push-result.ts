import { EngineClient } from "../run/engine/engine-client.js";
import type { PushEvent } from "../run/events/push-events.js";
import { runStarted } from "../run/events/run-started.js";
import { type Timed, timed } from "../run/events/timed.js";
import { resolvePushOptions } from "../run/options/commands/push-options.js";
import type { PushInput } from "./generated/push-input.js";

export type { PushInput } from "./generated/push-input.js";

/**
 * Uploads a result to a repository of the Hugging Face Hub, which is created if it is missing. Only files that a result
 * consists of are uploaded, after they were read back and compared with the recorded hashes. Files that are there with the
 * same hash are skipped, large ones also where an upload was stopped before its commit. The token is that of `HF_TOKEN` or
 * of `hf auth login`. libtorch is not needed.
 *
 * @example
 * for await (const event of pushResult({ result: "llama-w4", repository: "me/llama-w4", private: true })) {
 *   if (event.event === "pushed") console.log(event.url, event.commit);
 * }
 * @throws OptionError, InputError for what is no whole result, or without a token that may write; EnvironmentError when the
 *   network fails; the signal's reason when it was aborted.
 */
export async function* pushResult(options: PushInput): AsyncGenerator<Timed<PushEvent>, void> {
  const started = performance.now();
  const { signal, ...given } = options;
  signal?.throwIfAborted();
  const resolved = resolvePushOptions(given);
  yield timed(runStarted("push"));
  await using engine = EngineClient.forStreaming();
  yield* engine.stream("push", { options: resolved }, { signal });
  yield timed({
    event: "done",
    out: resolved.dryRun ? null : resolved.result,
    seconds: (performance.now() - started) / 1000,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    devicePeakBytes: null,
  });
}
