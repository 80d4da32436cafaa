import type { MessagePort } from "node:worker_threads";
import { timed } from "../events/timed.js";
import type { EngineCalls, EngineMethod, FromWorker, RequestMessage, ToWorker } from "./engine-protocol.js";
import { errorToMessage } from "./error-transport.js";
import { CancelledError, RunControl } from "./run-control.js";

/** What a handler gets beside its parameters. */
export interface RequestContext<E> {
  /** Sends an event; waits while the main thread lags behind. */
  readonly emit: (event: E) => void;
  /** Throws when the request was cancelled; for synchronous code, several times a second. */
  readonly poll: () => void;
  /** Aborted when the request was cancelled; for asynchronous code. */
  readonly signal: AbortSignal;
}

/** The worker's side of every method that the main thread may call. */
export type EngineHandlers = {
  readonly [M in EngineMethod]: (
    parameters: EngineCalls[M]["parameters"],
    context: RequestContext<EngineCalls[M]["event"]>,
  ) => Promise<EngineCalls[M]["result"]>;
};

type AnyHandler = (parameters: unknown, context: RequestContext<object>) => Promise<unknown>;

/** Answers the requests that arrive at a worker's port, one after the other. */
export function serveRequests(port: MessagePort, handlers: EngineHandlers): void {
  const cancellations = new Map<number, AbortController>();
  let queue = Promise.resolve();
  const send = (message: FromWorker, transfer: readonly ArrayBuffer[] = []): void => {
    port.postMessage(message, transfer);
  };

  const serve = async ({ id, method, parameters, control: buffer }: RequestMessage<EngineMethod>): Promise<void> => {
    const control = new RunControl(buffer);
    const signal = cancellations.get(id)?.signal ?? AbortSignal.abort(new CancelledError());
    const emit = (event: object): void => {
      send({ type: "event", id, event: timed(event) });
      control.sent();
    };
    try {
      control.poll();
      const result = await (handlers[method] as AnyHandler)(parameters, { emit, poll: () => control.poll(), signal });
      send({ type: "result", id, result }, largeBuffers(result));
    } catch (error) {
      send({ type: "error", id, error: errorToMessage(error) });
    } finally {
      cancellations.delete(id);
    }
  };

  port.on("message", (message: ToWorker) => {
    if (message.type === "cancel") {
      cancellations.get(message.id)?.abort(new CancelledError());
      return;
    }
    cancellations.set(message.id, new AbortController());
    queue = queue.then(() => serve(message));
  });
}

// Logits are large: their memory moves to the main thread instead of being copied.
function largeBuffers(result: unknown): ArrayBuffer[] {
  if (result === null || typeof result !== "object") return [];
  return Object.values(result)
    .filter((value) => value instanceof Float32Array)
    .map((value) => value.buffer as ArrayBuffer);
}
