import { ReadBuffer } from "../../checkpoint/read-buffer.js";
import type { TensorReader } from "../../checkpoint/tensor-reader.js";

/** Tensors that will be asked for next, read while a device computes: it would wait for the reading otherwise. */
export class EarlyTensors {
  /** One for each place in an announcement, since units often are of one shape; a larger tensor makes its buffer grow. */
  readonly #buffers: ReadBuffer[] = [];
  readonly #bytes = new Map<string, Uint8Array>();
  #names: readonly string[] = [];

  constructor(private readonly reader: Pick<TensorReader, "readSync">) {}

  /** Says what will be asked for. What was read for an earlier announcement is gone. */
  announce(names: readonly string[]): void {
    this.#names = names;
    this.#bytes.clear();
  }

  /**
   * Reads on for about so many seconds: whole tensors, in the order in which they were announced.
   *
   * @throws CheckpointError as `readSync` does
   */
  readOn(seconds: number): void {
    const until = performance.now() + seconds * 1000;
    while (performance.now() < until) {
      const place = this.#bytes.size;
      const name = this.#names[place];
      if (name === undefined) return;
      this.#buffers[place] ??= new ReadBuffer();
      this.#bytes.set(name, this.reader.readSync(name, this.#buffers[place]));
    }
  }

  /** The bytes of a tensor, until the next announcement; null when they are not there yet. */
  get(name: string): Uint8Array | null {
    return this.#bytes.get(name) ?? null;
  }
}
