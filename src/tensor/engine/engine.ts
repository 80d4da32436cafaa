import { addon } from "./addon.js";
import { cudaIndex, type Device } from "./device.js";

/** Facts about the libtorch that runs below. */
export interface EngineInfo {
  /** Version of the headers the addon was compiled against. */
  readonly torchVersion: string;
  /** libtorch's own description of its build: BLAS, CPU capability, CUDA. */
  readonly config: string;
  /** Threads that one operator uses on the CPU. */
  readonly threads: number;
  readonly devices: readonly {
    readonly name: string;
    readonly device: Device;
    /** Of CUDA, 9.0 as 90; 0 where the driver does not tell. */
    readonly computeCapability: number;
    readonly totalBytes: number;
    readonly freeBytes: number;
  }[];
}

export function engineInfo(): EngineInfo {
  const facts = addon().engineFacts();
  return {
    torchVersion: facts.torchVersion,
    config: facts.config,
    threads: facts.threads,
    devices: facts.cudaDevices.map((name, index) => {
      const memory = addon().deviceMemory(index);
      const computeCapability = facts.computeCapabilities[index] ?? 0;
      return {
        name,
        device: `cuda:${index}` as const,
        computeCapability,
        totalBytes: memory.total,
        freeBytes: memory.free,
      };
    }),
  };
}

/** Sets how many threads one operator uses on the CPU. */
export function setThreads(threads: number): void {
  addon().setThreads(threads);
}

/** Seeds the global random generators of all devices. */
export function manualSeed(seed: number): void {
  addon().manualSeed(seed);
}

/** Tensors that are not yet disposed in this thread. */
export function liveHandles(): number {
  return addon().liveTensors();
}

/** Waits until the device has finished what was asked of it; nothing to do on the CPU. */
export function synchronize(device: Device): void {
  const index = cudaIndex(device);
  if (index !== null) addon().synchronize(index);
}

/** Bytes of a CUDA device. */
export interface DeviceMemory {
  readonly free: number;
  readonly total: number;
  /** What libtorch's tensors and workspaces take; null where it can't tell. */
  readonly used: number | null;
  /** The most that they took. */
  readonly peak: number | null;
}

/** Null on the CPU. */
export function deviceMemory(device: Device): DeviceMemory | null {
  const index = cudaIndex(device);
  return index === null ? null : addon().deviceMemory(index);
}

/** Lets `deviceMemory(device).peak` begin anew. */
export function resetPeakMemory(device: Device): void {
  const index = cudaIndex(device);
  if (index !== null) addon().resetPeakMemory(index);
}

/** Gives host memory that is kept for the next tensors back to the system; returns its bytes. */
export function releaseCachedMemory(): number {
  return addon().releaseCachedMemory();
}
