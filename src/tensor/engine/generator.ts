import { addon, type Handle } from "./addon.js";
import type { Device } from "./device.js";

/** A stream of random numbers of its own, for operators that take a `generator`. */
export class Generator {
  readonly handle: Handle;

  constructor(seed: number, device: Device = "cpu") {
    this.handle = addon().newGenerator(device, seed);
  }

  dispose(): void {
    addon().releaseGenerator(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
