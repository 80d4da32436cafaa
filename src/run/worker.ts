import { parentPort } from "node:worker_threads";
import type { EngineMethod, FromWorker, RequestMessage, ToWorker } from "./engine-protocol.js";
import { engineHandlers, type Handler } from "./engine-handlers.js";
import { errorToMessage } from "./error-transport.js";
import { CancelledError, RunControl } from "./run-control.js";

if (parentPort === null) {
  throw new Error("this module runs in a worker thread only");
}
const port = parentPort;
const cancellations = new Map<number, AbortController>();
let queue = Promise.resolve();

port.on("message", (message: ToWorker) => {
  if (message.type === "cancel") {
    cancellations.get(message.id)?.abort(new CancelledError());
    return;
  }
  cancellations.set(message.id, new AbortController());
  queue = queue.then(() => serve(message));
});

async function serve(request: RequestMessage<EngineMethod>): Promise<void> {
  const { id } = request;
  const control = new RunControl(request.control);
  const signal = cancellations.get(id)?.signal ?? AbortSignal.abort();
  const emit = (event: unknown): void => {
    send({ type: "event", id, event });
    control.sent();
  };
  try {
    control.poll();
    const handler = engineHandlers[request.method] as Handler;
    const result = await handler(request.parameters, { emit, poll: () => control.poll(), signal });
    send({ type: "result", id, result }, transfers(result));
  } catch (error) {
    send({ type: "error", id, error: errorToMessage(error) });
  } finally {
    cancellations.delete(id);
  }
}

function send(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

// Logits are large: their memory moves to the main thread instead of being copied.
function transfers(result: unknown): ArrayBuffer[] {
  if (result === null || typeof result !== "object") return [];
  return Object.values(result)
    .filter((value) => value instanceof Float32Array)
    .map((value) => value.buffer as ArrayBuffer);
}
