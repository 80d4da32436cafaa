import type { MachineSpeed } from "../time/machine-speed.js";

/** A machine of a hundred billion operations a second, on which nothing but products takes time. */
export const slowMachine: MachineSpeed = {
  flops: 1e11,
  exactFlops: 1e11,
  forward: 2 / 1e11,
  training: 6 / 1e11,
  perWeight: 0,
  choosing: 0,
  choosingColumn: 0,
  launching: { pass: 0, step: 0 },
  quadratic: { weight: 0, step: 0 },
  choosingColumns: 512,
  context: 512,
  load: 0,
};
