import { wrapped } from "./autograd.js";
import { addon, type RecordedGraph } from "./engine/addon.js";
import { cudaIndex, type Device } from "./engine/device.js";

/**
 * Sends the work of this thread on a CUDA device to a stream of its own, which can be recorded; the default one can't.
 * To be called before the thread puts anything on the device. Does nothing elsewhere, or a second time.
 *
 * @returns whether work on the device can be recorded
 */
export function useOwnStream(device: Device): boolean {
  const index = cudaIndex(device);
  return index !== null && addon().useOwnStream(index);
}

/**
 * Work on a CUDA device recorded once and replayed as a whole: thousands of launches become one. The body must do the
 * same every time, read what changes from tensors that stay in place, and never wait for the device. What it
 * allocates lives as long as the recording.
 */
export class DeviceGraph implements Disposable {
  #graph: RecordedGraph | null;

  private constructor(graph: RecordedGraph) {
    this.#graph = graph;
  }

  /**
   * Records what `body` launches; nothing runs yet.
   *
   * @throws TensorError when memory runs out, or `body` does what can't be recorded
   */
  static record(device: Device, body: () => void): DeviceGraph {
    return new DeviceGraph(wrapped("recording", [], () => addon().captureGraph(cudaIndex(device) ?? 0, body)));
  }

  replay(): void {
    const graph = this.#graph;
    if (graph === null) throw new TypeError("the recording was released");
    wrapped("replay", [], () => addon().replayGraph(graph));
  }

  dispose(): void {
    if (this.#graph !== null) addon().releaseGraph(this.#graph);
    this.#graph = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
