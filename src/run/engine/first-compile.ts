import { type Compiling, compileAddon } from "../../../native/build/build.mjs";
import type { ProgressEvent } from "../events/events.js";

/** Milliseconds between two events. */
const PERIOD = 1000;

/**
 * Compiles the native addon where that was not done yet, and tells how it goes. What goes wrong, a libtorch that is missing
 * included, is left to the worker, which needs the addon next and says it with class and remedy.
 */
export async function* firstCompile(
  signal: AbortSignal | undefined,
  start: typeof compileAddon = compileAddon,
): AsyncGenerator<ProgressEvent, void> {
  let compiling: Compiling | null;
  try {
    compiling = start({ signal });
  } catch {
    return;
  }
  if (compiling === null) return;
  const begun = performance.now();
  const { done, version } = compiling;
  let ended = false;
  const see = (): void => {
    ended = true;
  };
  const end = done.then(see, see);
  while (!ended) {
    const seconds = Math.round((performance.now() - begun) / 1000);
    const parts = compiling.waitingFor();
    const at = parts.length === 0 ? "" : `; the compiler is at ${parts.join(", ")}`;
    const stage = `compiling the native addon for libtorch ${version}, once: ${seconds} s${at}`;
    yield { event: "progress", stage, done: 0, total: 0 };
    await Promise.race([end, pause(PERIOD)]);
  }
  signal?.throwIfAborted();
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
