import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { RuntimeAnswer, RuntimeRequest } from "./runtime-question.js";

/** Why a runtime has no answer. */
interface Failed {
  readonly error: string;
}

/**
 * Asks a runtime in a process of its own: a file that it can't digest may end it, and must not end crossblock.
 *
 * @param entry compiled module that calls `answerOnce`
 */
export async function askProcess<Q extends object = RuntimeRequest, A = RuntimeAnswer>(
  entry: URL,
  request: Q,
  signal: AbortSignal,
): Promise<A | Failed> {
  const child = fork(fileURLToPath(entry), {
    serialization: "advanced",
    // What the library prints is about itself; the last line matters when the process dies.
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    execArgv: [],
    // onnxruntime would report its use over the network.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: "1" },
    signal,
    killSignal: "SIGKILL",
  });
  let said = "";
  child.stderr?.on("data", (data: Buffer) => {
    said = (said + data.toString()).slice(-400);
  });
  return await new Promise<A | Failed>((resolve, reject) => {
    child.once("message", (answer) => resolve(answer as A | Failed));
    child.once("error", reject);
    child.once("exit", (code, killedBy) =>
      resolve({ error: `the process ended with ${killedBy ?? code}: ${said.trim().split("\n").at(-1) ?? ""}` }),
    );
    child.send(request);
  });
}

/** The other end: answers the one request that comes, and ends the process. */
export function answerOnce<Q = RuntimeRequest, A = RuntimeAnswer>(answer: (request: Q) => Promise<A | Failed>): void {
  process.once("message", async (request: Q) => {
    const reply = await answer(request).catch(
      (error: unknown): Failed => ({ error: error instanceof Error ? error.message : String(error) }),
    );
    process.send?.(reply, undefined, undefined, () => process.exit(0));
  });
}
