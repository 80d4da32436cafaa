import { CrossblockError } from "../errors.js";
import { type Patience, whenPatienceEnds } from "../run/engine/patience.js";
import { timed } from "../run/events/timed.js";
import { colorsOf } from "./terminal/terminal-colors.js";

/** Exit code of a run that a signal ended, as shells count them. */
const signalCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** How a command prints an error: one JSON line, or for a reader. */
export interface ErrorOutput {
  readonly json: boolean;
}

/** What work may take to stop; a step of a large batch takes longer and is cut. Longer than the engine's own. */
const PATIENCE: Patience = { milliseconds: 1500, longest: 12_000 };

/**
 * Runs a command: the first SIGINT or SIGTERM aborts its signal, the second ends the process at
 * once. Prints what goes wrong, and ends with 0, 2 (bad input), 1 (environment), 130 or 143.
 */
export async function runCommand(
  output: ErrorOutput,
  body: (signal: AbortSignal) => Promise<number>,
  patience: Patience = PATIENCE,
): Promise<void> {
  const controller = new AbortController();
  let signalCode = 0;
  const stop = (name: NodeJS.Signals): void => {
    if (signalCode !== 0) dieOf(name);
    signalCode = name === "SIGTERM" ? signalCodes.SIGTERM : signalCodes.SIGINT;
    // First, so that whatever is shown in place leaves the screen.
    controller.abort();
    process.stderr.write("\nstopping; once more to stop at once\n");
    whenPatienceEnds(patience, () => dieOf(name));
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    process.exitCode = await body(controller.signal);
  } catch (error) {
    process.exitCode = signalCode === 0 ? reportError(error, output) : signalCode;
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
  if (signalCode !== 0) process.exit(signalCode);
}

// Ends the process now, with the same exit code for a shell. `process.exit` would wait for the worker,
// which may be inside an operator of several seconds; every file is replaced in one go, so none is cut.
function dieOf(name: NodeJS.Signals): void {
  process.removeAllListeners(name);
  process.kill(process.pid, name);
}

/** Prints an error and returns the exit code that belongs to it. */
export function reportError(thrown: unknown, output: ErrorOutput): number {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (!(error instanceof CrossblockError)) {
    process.stderr.write(`crossblock failed in a way that it should not: ${error.stack ?? error.message}\n`);
    process.stderr.write("next: run `crossblock doctor`, and report this with its output\n");
    if (output.json) printLine({ event: "error", name: error.name, what: error.message, exitCode: 1 });
    return 1;
  }
  const { name, what, where, why, next, exitCode } = error;
  if (output.json) printLine({ event: "error", name, what, where, why, next, exitCode });
  const place = where === undefined ? "" : `${where}: `;
  const reason = why === undefined ? "" : `\n  why:  ${why}`;
  process.stderr.write(`${colorsOf(process.stderr).red("error:")} ${place}${what}${reason}\n  next: ${next}\n`);
  return exitCode;
}

/** Prints an object as one line of JSON on standard output; an event that does not say when it happened happens now. */
export function printLine(value: object): void {
  const line = "event" in value && !("time" in value) ? timed(value) : value;
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
