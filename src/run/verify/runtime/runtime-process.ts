import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { RuntimeAnswer, RuntimeRequest } from "./runtime-question.js";

/**
 * Asks a runtime in a process of its own: a file that it can't digest may end it, and must not end crossblock.
 *
 * @param entry compiled module that calls `answerOnce`
 */
export async function askProcess(entry: URL, request: RuntimeRequest, signal: AbortSignal): Promise<RuntimeAnswer> {
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
  return await new Promise<RuntimeAnswer>((resolve, reject) => {
    child.once("message", (answer) => resolve(answer as RuntimeAnswer));
    child.once("error", reject);
    child.once("exit", (code, killedBy) =>
      resolve({ error: `the process ended with ${killedBy ?? code}: ${said.trim().split("\n").at(-1) ?? ""}` }),
    );
    child.send(request);
  });
}

/** The other end: answers the one request that comes, and ends the process. */
export function answerOnce(answer: (request: RuntimeRequest) => Promise<RuntimeAnswer>): void {
  process.once("message", async (request: RuntimeRequest) => {
    const reply = await answer(request).catch(
      (error: unknown): RuntimeAnswer => ({ error: error instanceof Error ? error.message : String(error) }),
    );
    process.send?.(reply, undefined, undefined, () => process.exit(0));
  });
}
