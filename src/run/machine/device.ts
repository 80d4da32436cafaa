import { freemem, totalmem } from "node:os";
import { EnvironmentError } from "../../errors.js";
import { type Device, deviceMemory, engineInfo, noGrad, scope, synchronize, Tensor } from "../../tensor/index.js";

/**
 * The device that `auto`, `cpu` or `cuda:N` names.
 *
 * @throws EnvironmentError when libtorch does not see that GPU.
 */
export function resolveDevice(name: string): Device {
  const { devices } = engineInfo();
  if (name === "auto") return devices[0]?.device ?? "cpu";
  if (name === "cpu") return "cpu";
  const found = devices.find(({ device }) => device === name);
  if (found === undefined) {
    const seen = ["cpu", ...devices.map(({ device }) => device)].join(", ");
    throw new EnvironmentError({
      where: `device ${name}`,
      what: "libtorch does not see it",
      why: `it sees ${seen}`,
      next: `use --device ${devices[0]?.device ?? "cpu"}, or run \`crossblock doctor\` to learn why`,
    });
  }
  return found.device;
}

/** Floating point operations a second of a matrix product of the size of a small layer's. */
export function measureFlops(device: Device, dtype: "float32" | "bfloat16"): number {
  const [rows, inner, columns] = device === "cpu" ? [512, 512, 512] : [4096, 4096, 4096];
  return noGrad(() =>
    scope(() => {
      const a = Tensor.ones([rows, inner], { device, dtype });
      const b = Tensor.ones([inner, columns], { device, dtype });
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 4; i++) {
        const start = performance.now();
        scope(() => a.matmul(b));
        synchronize(device);
        best = Math.min(best, (performance.now() - start) / 1000);
      }
      return (2 * rows * inner * columns) / best;
    }),
  );
}

/** More of the host's memory than this makes no step faster. */
const MOST_HOST_BYTES = 8 * 2 ** 30;

/**
 * Memory of a device that a run may count on: what is free now. With `always` it is what the machine has, half of it on the
 * host, so that what follows from it is the same in every run.
 */
export function spareMemory(device: Device, always: boolean): number {
  const memory = deviceMemory(device);
  if (memory !== null) return always ? memory.total : memory.free;
  return Math.min(always ? totalmem() / 2 : freemem(), MOST_HOST_BYTES);
}
