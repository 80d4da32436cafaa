import { type Device, synchronize } from "../../../tensor/index.js";

/** Seconds that `work` takes, all that it launches on the device included. */
export function timed(device: Device, work: () => void): number {
  const started = performance.now();
  work();
  synchronize(device);
  return (performance.now() - started) / 1000;
}
