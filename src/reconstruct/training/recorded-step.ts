import { type Device, DeviceGraph, useOwnStream } from "../../tensor/index.js";

/** Steps that run before one is recorded: libraries set themselves up in them, and they count like any other. */
export const WARM_UP = 2;

/**
 * A short step that is taken again and again: on a GPU it is recorded once and replayed, where launching its parts one by one takes
 * longer than they do. It must do the same every time and read what changes from tensors that stay in place.
 */
export class RecordedStep implements Disposable {
  readonly #recordable: boolean;
  #graph: DeviceGraph | null = null;
  #done = 0;

  constructor(
    private readonly device: Device,
    private readonly step: () => void,
  ) {
    this.#recordable = useOwnStream(device);
  }

  /** @throws TensorError when memory runs out */
  run(): void {
    if (!this.#recordable || this.#done < WARM_UP) this.step();
    else {
      this.#graph ??= DeviceGraph.record(this.device, this.step);
      this.#graph.replay();
    }
    this.#done++;
  }

  /** Frees the recording, and with it what its steps have made. */
  [Symbol.dispose](): void {
    this.#graph?.dispose();
    this.#graph = null;
  }
}
