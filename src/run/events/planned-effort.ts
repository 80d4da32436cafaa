import type { EffortName } from "../../recipe/options/efforts.js";
import type { UntypedOptions } from "../../recipe/options/merge-options.js";
import type { EffortChoice } from "../options/effort/efforts.js";

/** How much of text and training a run takes. */
export interface PlannedEffort {
  readonly name: EffortName;
  /** The user, the device that it runs on, or the time that was given. */
  readonly chosen: EffortChoice;
  /** The time that was given, as it was written; null without. */
  readonly time: string | null;
  /** What it sets, of what the user left open. */
  readonly values: UntypedOptions;
  /** Sequences that it takes where there is as much text; null where it takes as many as that. */
  readonly wanted: number | null;
  /** Seconds that the next more effort is expected to take; null where the user chose, or nothing is more. */
  readonly more: { readonly name: EffortName; readonly range: readonly [from: number, to: number] } | null;
}
