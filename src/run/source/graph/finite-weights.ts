import type { TensorReader } from "../../../checkpoint/tensor-reader.js";
import { CheckpointError } from "../../../errors.js";

/**
 * Reads the weights of all layers once.
 *
 * @throws CheckpointError naming the first that holds NaN or an infinity
 */
export function requireFinite(checkpoint: TensorReader, file: string, poll: () => void): void {
  for (const name of checkpoint.tensors.keys()) {
    poll();
    const bytes = checkpoint.readSync(name);
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    // The exponent of what is not finite is all ones.
    if (!words.some((word) => (word & 0x7f800000) === 0x7f800000)) continue;
    throw new CheckpointError({
      where: `${file}, "${name}"`,
      what: "holds NaN or infinite values",
      next: "export or download the network again",
    });
  }
}
