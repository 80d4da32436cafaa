import type { Ports } from "../calibration/port-store.js";
import type { Rates } from "../quant/parameter.js";
import type { Tensor } from "../tensor/index.js";
import type { SequenceParts } from "./sequence-parts.js";

/** The reconstruction loss of the ports that a window wrote, shaped as those of its targets: a scalar. */
export type ReconstructionLoss = (actual: Ports, targets: readonly Ports[]) => Tensor;

/** How the parameters of a window are trained together. */
export interface ReconstructionOptions {
  readonly epochs: number;
  /** Sequences per step of the optimiser. */
  readonly batch: number;
  /** Sequences on the device at once; the result does not depend on it. */
  readonly parts: SequenceParts;
  readonly seed: number;
  readonly loss: ReconstructionLoss;
  readonly rates: Rates;
  /** Share of every rate that is left at the last step of the cosine. */
  readonly finalRate: number;
  /** The rounding penalty L_com: its weight, and how its exponent falls. */
  readonly penalty?: {
    readonly weight: number;
    /** Share of the steps without it. */
    readonly warmup: number;
    readonly betaStart: number;
    readonly betaEnd: number;
  };
  /** Called before the first step of each epoch, counted from 0. */
  readonly beforeEpoch?: (epoch: number) => void;
  /** Called while the device works on steps that were launched: for about so many seconds. */
  readonly whileDeviceWorks?: (seconds: number) => void;
}
