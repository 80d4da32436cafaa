import type { StreamShape } from "../../calibration/port-store.js";

/** The first sequences of a store on which losses and errors are reported: enough to judge by, whatever all of them take. */
export function measuredSequences({ shape }: { readonly shape: Pick<StreamShape, "sequences"> }): number {
  return Math.min(8, shape.sequences);
}
