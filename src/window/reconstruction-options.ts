import type { Rates } from "../quant/parameter.js";
import type { ObjectiveOptions } from "./objective.js";
import type { SequenceParts } from "./sequence-parts.js";

/** How the roundings of a window are trained together. */
export interface ReconstructionOptions {
  readonly epochs: number;
  /** Sequences per step of the optimiser. */
  readonly batch: number;
  /** Sequences on the device at once; the result does not depend on it. */
  readonly parts: SequenceParts;
  readonly seed: number;
  readonly objective: ObjectiveOptions;
  readonly rates: Rates;
  /** Share of every rate that is left at the last step of the cosine. */
  readonly finalRate: number;
  readonly regulariser: {
    readonly weight: number;
    /** Share of the steps without it. */
    readonly warmup: number;
    readonly betaStart: number;
    readonly betaEnd: number;
  };
  /** Called while the device works on steps that were launched: for about so many seconds. */
  readonly meanwhile?: (seconds: number) => void;
}
