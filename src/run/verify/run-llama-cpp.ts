import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { FoundPackage } from "./find-package.js";
import type { LlamaCppReply, LlamaCppRequest } from "./llama-cpp-process.js";

/** Logits `[tokens, vocabulary]` of one file, and the ids of a text, by llama.cpp in a process of its own. */
export async function runLlamaCpp(
  { entry }: FoundPackage,
  question: Pick<LlamaCppRequest, "file" | "tokens" | "vocabulary" | "text">,
  signal: AbortSignal,
): Promise<LlamaCppReply> {
  const child = fork(fileURLToPath(new URL("./llama-cpp-process.js", import.meta.url)), {
    serialization: "advanced",
    // What the library prints is about itself; the last lines matter when the process dies.
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    execArgv: [],
    signal,
    killSignal: "SIGKILL",
  });
  let said = "";
  child.stderr?.on("data", (data: Buffer) => {
    said = (said + data.toString()).slice(-400);
  });
  const request: LlamaCppRequest = { entry, threads: availableParallelism(), ...question };
  return await new Promise<LlamaCppReply>((resolve, reject) => {
    child.once("message", (reply) => resolve(reply as LlamaCppReply));
    child.once("error", reject);
    child.once("exit", (code, killedBy) =>
      resolve({ error: `the process ended with ${killedBy ?? code}: ${said.trim().split("\n").at(-1) ?? ""}` }),
    );
    child.send(request);
  });
}
