import { addon } from "./addon.js";
import { cudaIndex, type Device } from "./device.js";

/**
 * Keeps tensors within a number of bytes until it is disposed: what exceeds it throws a TensorError of code
 * `OUT_OF_MEMORY`, as when the memory itself ends. On a GPU everything that libtorch takes from the driver counts, which is
 * more than its tensors take: freed blocks that it keeps, and gaps between them. On the CPU tensors of 64 KB and more
 * do, and those that are kept for the next ones; what JavaScript and libraries allocate does not.
 */
export class MemoryLimit implements Disposable {
  private constructor(private readonly index: number | null) {}

  /** Null where libtorch can't be held to it: the addon was compiled without CUDA's headers, or the device is neither. */
  static set(device: Device, bytes: number): MemoryLimit | null {
    const index = cudaIndex(device);
    if (index === null && device !== "cpu") return null;
    return addon().limitMemory(index, bytes) ? new MemoryLimit(index) : null;
  }

  [Symbol.dispose](): void {
    addon().limitMemory(this.index, 0);
  }
}
