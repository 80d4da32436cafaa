import { type ResourceLimits, Worker } from "node:worker_threads";
import { letThreadsSleep } from "../../tensor/index.js";
import { type Timed, timed } from "../events/timed.js";
import { EngineError } from "./engine-error.js";
import type { EngineCalls, EngineMethod, FromWorker, ToWorker } from "./engine-protocol.js";
import { errorFromMessage } from "./error-transport.js";
import { firstCompile } from "./first-compile.js";
import { type Patience, whenPatienceEnds } from "./patience.js";
import { RunControl } from "./run-control.js";

/** How long the worker may take to reach its next poll after a cancellation before it is terminated. */
const GRACE: Patience = { milliseconds: 1200, longest: 10_000 };

/** What begins with libtorch, whose addon may have to be compiled first; nothing else tells of progress before that. */
const computes: ReadonlySet<EngineMethod> = new Set<EngineMethod>(["quantize", "open", "images"]);

interface PendingRequest {
  readonly control: RunControl;
  readonly events: unknown[];
  outcome: { readonly result: unknown } | { readonly error: unknown } | null;
  wake: () => void;
}

/**
 * The main thread's end of the engine, which computes in a worker thread so that progress, signals
 * and servers here stay responsive. Requests are served one after the other.
 */
export class EngineClient implements AsyncDisposable {
  /** Whether this process has seen to the addon. */
  static #compiled = false;
  readonly #worker: Worker;
  readonly #grace: Patience;
  readonly #pending = new Map<number, PendingRequest>();
  #nextId = 1;
  #death: EngineError | null = null;

  /**
   * @param entry compiled module that runs in the worker; a test may give another
   * @param resourceLimits of the worker's JavaScript heap
   * @param grace how long cancelled work may go on before the worker is terminated
   */
  constructor(
    entry: URL = new URL("../worker/worker.js", import.meta.url),
    resourceLimits: ResourceLimits = {},
    grace: Patience = GRACE,
  ) {
    letThreadsSleep();
    this.#grace = grace;
    this.#worker = new Worker(entry, { resourceLimits });
    this.#worker.unref();
    this.#worker.on("message", (message: FromWorker) => this.#receive(message));
    this.#worker.on("error", (error) => this.#died(`it threw ${error.message}`, error));
    this.#worker.on("messageerror", (error) => this.#died(`it sent what can't be read: ${error.message}`, error));
    this.#worker.on("exit", (code) => this.#died(`it exited with code ${code}`, undefined));
  }

  /**
   * An engine for work that streams tensors through: it collects short-lived buffers early, instead of holding 48 MB of
   * them, which counts where the promise is the largest tensor and 200 MB.
   */
  static forStreaming(): EngineClient {
    return new EngineClient(undefined, { maxYoungGenerationSizeMb: 12 });
  }

  /**
   * Asks for `method` and yields its events; the generator's return value is the result.
   *
   * Events wait in memory until they are consumed, and the worker pauses when too many do. Aborting
   * `signal`, or leaving the loop early, stops the work at its next poll, or ends the worker when that takes
   * more than 1.2 s of processor time or ten seconds, unless `grace` is given; then the signal's reason is thrown.
   *
   * @throws EngineError when the worker dies; else whatever the work throws, class and fields intact.
   */
  async *stream<M extends EngineMethod>(
    method: M,
    parameters: EngineCalls[M]["parameters"],
    options: { readonly signal?: AbortSignal | undefined; readonly grace?: Patience } = {},
  ): AsyncGenerator<Timed<EngineCalls[M]["event"]>, EngineCalls[M]["result"]> {
    const { signal, grace = this.#grace } = options;
    signal?.throwIfAborted();
    if (this.#death !== null) throw this.#death;
    if (computes.has(method) && !EngineClient.#compiled) {
      for await (const event of firstCompile(signal)) yield timed(event) as Timed<EngineCalls[M]["event"]>;
      EngineClient.#compiled = true;
    }
    const id = this.#nextId++;
    const request: PendingRequest = { control: new RunControl(), events: [], outcome: null, wake: () => {} };
    this.#pending.set(id, request);
    this.#worker.ref();
    const message = { type: "request", id, method, parameters, control: request.control.buffer } as ToWorker;
    this.#worker.postMessage(message);
    let endGrace: (() => void) | undefined;
    const cancel = (): void => {
      request.control.cancel();
      this.#worker.postMessage({ type: "cancel", id } satisfies ToWorker);
      endGrace ??= whenPatienceEnds(grace, () => void this.#terminate("it did not stop in time"));
      request.wake();
    };
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      for (;;) {
        const event = request.events.shift();
        if (event !== undefined && signal?.aborted !== true) {
          yield event as Timed<EngineCalls[M]["event"]>;
          request.control.consumed();
        } else if (event !== undefined) {
          request.control.consumed();
        } else if (request.outcome !== null) {
          break;
        } else {
          await new Promise<void>((resolve) => {
            request.wake = resolve;
          });
        }
      }
      signal?.throwIfAborted();
      if ("error" in request.outcome) throw request.outcome.error;
      return request.outcome.result as EngineCalls[M]["result"];
    } finally {
      signal?.removeEventListener("abort", cancel);
      if (request.outcome === null) {
        cancel();
        await this.#settled(request);
      }
      endGrace?.();
      this.#pending.delete(id);
      if (this.#pending.size === 0) this.#worker.unref();
    }
  }

  /** Asks for `method` and waits for its result; `onEvent` sees the events on the way. */
  async call<M extends EngineMethod>(
    method: M,
    parameters: EngineCalls[M]["parameters"],
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly onEvent?: ((event: Timed<EngineCalls[M]["event"]>) => void) | undefined;
    } = {},
  ): Promise<EngineCalls[M]["result"]> {
    const events = this.stream(method, parameters, options);
    for (;;) {
      const next = await events.next();
      if (next.done === true) return next.value;
      options.onEvent?.(next.value);
    }
  }

  /** Ends the worker; requests that are under way fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#terminate("it was closed");
  }

  async #settled(request: PendingRequest): Promise<void> {
    while (request.outcome === null) {
      await new Promise<void>((resolve) => {
        request.wake = resolve;
      });
    }
  }

  #receive(message: FromWorker): void {
    const request = this.#pending.get(message.id);
    if (request === undefined) return;
    switch (message.type) {
      case "event":
        request.events.push(message.event);
        break;
      case "result":
        request.outcome = { result: message.result };
        break;
      case "error":
        request.outcome = { error: errorFromMessage(message.error) };
        break;
    }
    request.wake();
  }

  async #terminate(why: string): Promise<void> {
    this.#died(why, undefined);
    await this.#worker.terminate();
  }

  #died(why: string, cause: unknown): void {
    this.#death ??= new EngineError({
      what: "the engine's worker thread stopped",
      why,
      next: "run the command again; if it happens again, run `crossblock doctor` and report it",
      cause,
    });
    for (const request of this.#pending.values()) {
      request.outcome ??= { error: this.#death };
      request.wake();
    }
  }
}
