import type { RowGroups, Tensor } from "../../../tensor/index.js";
import type { Hooks } from "../../unit.js";
import type { UnitWeights } from "../../unit-weights.js";
import type { LinearRole } from "../spec/decoder-spec.js";
import type { BlockCache } from "./cache/block-cache.js";
import type { RotaryTables } from "./rotary/rotary-tables.js";

/** What a block runs with, beside its weights and its input. */
export interface ForwardContext extends Hooks {
  readonly rotary: RotaryTables;
  /** What the block keeps of earlier tokens; the input then starts after them. */
  readonly cache?: BlockCache;
}

/** What a sublayer of a block runs with. */
export interface Sublayer {
  readonly weights: UnitWeights;
  readonly context: ForwardContext;
  /** Computes the Linear of this role; of a stack of experts for rows that lie sorted by expert. */
  readonly apply: (role: LinearRole, input: Tensor, groups?: RowGroups) => Tensor;
}
