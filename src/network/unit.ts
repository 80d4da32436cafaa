import type { Ports } from "../calibration/port-store.js";
import type { Tensor } from "../tensor/index.js";
import type { Site } from "./site.js";
import type { LinearWeights, UnitWeights } from "./unit-weights.js";

export type { Ports };

/** A Linear of a unit, before anything is loaded. */
export interface LayerPlan {
  /** Within the unit, `q`. */
  readonly name: string;
  /** Of the whole network, without `.weight`: `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  /** Outputs and inputs: its weight is `[rows, columns]`. */
  readonly rows: number;
  readonly columns: number;
  readonly bias: boolean;
  /** The port that its output is added to; null where other layers read it. */
  readonly addsTo: string | null;
}

/** A norm of a unit, before anything is loaded. */
export interface NormPlan {
  readonly name: string;
  readonly module: string;
  /** `rms` has gains, `layer` gains and shifts. */
  readonly kind: "rms" | "layer";
  /** Channels, each with a gain. */
  readonly width: number;
}

/**
 * What a window consists of, in shapes and names alone: a decoder block is one, a residual block of a CNN another. Units of
 * a network may differ, so that whoever counts or sizes something asks each.
 */
export interface UnitPlan {
  /** Place in the network, counted from 0. */
  readonly index: number;
  /** Every Linear, in the order in which the unit computes them. */
  readonly layers: readonly LayerPlan[];
  readonly norms: readonly NormPlan[];
  /** Inputs of the Linears, in the order in which the unit computes them; every Linear is a consumer of one. */
  readonly sites: readonly Site[];
  /** Ports that the unit computes; the others of those that it is given pass by. */
  readonly writes: readonly string[];
}

/** What a unit lets others see or replace while it runs. */
export interface Hooks {
  /** How a Linear is computed of its input; undefined for `x W^T + b`. */
  readonly product?: (layer: string, input: Tensor, linear: LinearWeights) => Tensor | undefined;
  /** Called with the input of each Linear, before it is computed. */
  readonly observe?: (layer: string, input: Tensor) => void;
}

/** Runs units; differentiable in ports and weights. What a unit does not write, it gives back as it came. */
export type RunUnit = (unit: UnitPlan, weights: UnitWeights, x: Ports, hooks?: Hooks) => Ports;

/** The Linear of this name. */
export function layerOf(unit: UnitPlan, name: string): LayerPlan {
  const layer = unit.layers.find((each) => each.name === name);
  if (layer === undefined) throw new TypeError(`unit ${unit.index} has no Linear "${name}"`);
  return layer;
}

/** The norm of this name. */
export function normOf(unit: UnitPlan, name: string): NormPlan {
  const norm = unit.norms.find((each) => each.name === name);
  if (norm === undefined) throw new TypeError(`unit ${unit.index} has no norm "${name}"`);
  return norm;
}
