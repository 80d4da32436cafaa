import type { PortStore } from "../../calibration/port-store.js";

/** The first sequences of a store on which losses and errors are reported: enough to judge by, whatever all of them take. */
export function measuredSequences({ shape }: PortStore): number {
  return Math.min(8, shape.sequences);
}
