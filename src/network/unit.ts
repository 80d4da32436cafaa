import type { Ports } from "../calibration/port-store.js";
import type { RowGroups, Tensor } from "../tensor/index.js";
import type { Site } from "./site.js";
import type { LinearWeights, UnitWeights } from "./unit-weights.js";

export type { Ports };

/** A Linear of a unit, before anything is loaded. */
export interface LayerPlan {
  /** Within the unit, `q`. */
  readonly name: string;
  /** Of the whole network, without `.weight`: `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  /** Outputs and inputs: its weight is `[rows, columns]`; of a stack of experts the rows of all of them. */
  readonly rows: number;
  readonly columns: number;
  readonly bias: boolean;
  /** Other layers read the same bias. */
  readonly sharesBias?: true;
  /** What its bias is stored in; absent for fp32 and in decoders, whose checkpoint says as much. */
  readonly biasType?: "float16" | "bfloat16";
  /** How many experts are stacked in it, each of which computes tokens of its own. Absent for a Linear that all tokens pass. */
  readonly experts?: number;
  /** Of these, how many compute one token. */
  readonly perToken?: number;
  /** The port that its output is added to; null where something else reads it. */
  readonly addsTo: string | null;
  /** The value that it reads, by its name in a graph; absent in decoders, whose sites say as much. */
  readonly reads?: string;
  /** That is what the network is given, an image, or follows from it without a weight: its input is not quantized unless asked for. */
  readonly readsInput?: true;
  /** What the network gives follows from its output without another weight. */
  readonly makesOutput?: true;
  /** Why it stays in full precision unless an option names it: it is small, and much depends on it. Absent for others. */
  readonly protectedAs?: string;
}

/** A norm of a unit, before anything is loaded. */
export interface NormPlan {
  readonly name: string;
  readonly module: string;
  /** What the stored gains are: factors of what is normalised, or these less one. */
  readonly gain: "w" | "1+w";
  /** It has shifts. */
  readonly bias: boolean;
  /** Channels, each with a gain. */
  readonly width: number;
  /** The stored tensor `[width, width]` that what it gives is multiplied by; absent for most. */
  readonly matrix?: string;
}

/** A stored tensor of a unit that is neither a Linear nor a norm, before anything is loaded. */
export interface TensorPlan {
  readonly name: string;
  /** Of the whole network, in full. */
  readonly tensor: string;
  readonly shape: readonly number[];
}

/** How the Linears of a unit make up its attention, by their names; query heads that share keys and values lie side by side. */
export interface AttentionPlan {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  /** Reads the mixed values of all heads. */
  readonly output: string;
  readonly heads: number;
  /** Heads of keys and values; `heads` is a multiple of it. */
  readonly kvHeads: number;
  readonly headDim: number;
  /**
   * What each head of queries and keys may be multiplied by, where the other gets the inverse, so that all scores stay: any
   * invertible matrix (`any`); one that commutes with rotary positions, which turn the channels i and i + headDim / 2
   * together (`pairs`); or nothing (`none`): a norm follows, and weighs every channel.
   */
  readonly scores: "any" | "pairs" | "none";
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
  /** What else it reads; never quantized. */
  readonly tensors?: readonly TensorPlan[];
  /** Inputs of the Linears, in the order in which the unit computes them; every Linear is a consumer of one. */
  readonly sites: readonly Site[];
  /** It computes of conditions alone: of time steps, noise levels and classes, whatever the image is. Absent where it does not. */
  readonly ofConditions?: true;
  /** Ports that the unit computes; the others of those that it is given pass by. */
  readonly writes: readonly string[];
  /** Ports that it can't be computed without. Absent for all of them: in a decoder there is no other. */
  readonly needs?: readonly string[];
  /** Absent where it has none, or one whose scores are not plainly `q k^T` of its Linears. */
  readonly attention?: AttentionPlan;
}

/** What a unit's attention computes with. */
export interface AttentionValues {
  /** What queries, keys and values are made of, `[batch, time, in]`. */
  readonly input: Tensor;
  /** As they meet the keys, after norms and rotary positions, `[batch, heads, time, headDim]`. */
  readonly q: Tensor;
  /** `[batch, kvHeads, time, headDim]`. */
  readonly k: Tensor;
  /** Causal attention of these queries and keys over `v [batch, kvHeads or 1, time, n]`: `[batch, heads, time, n]`. */
  readonly mix: (q: Tensor, k: Tensor, v: Tensor) => Tensor;
  /** The mean of `R_l^T C R_l` over the positions `l`, where `R_l` turns a head; `C [..., headDim, headDim]` itself without rotary positions. */
  readonly unrotated: (form: Tensor) => Tensor;
  /** Norms over the heads of queries and keys; null where there are none. */
  readonly headNorms: { readonly q: HeadNorm; readonly k: HeadNorm } | null;
}

/** An RMS norm over each head. */
export interface HeadNorm {
  /** What the Linear gives, `[batch, time, heads, headDim]`. */
  readonly before: Tensor;
  /** What it multiplies by, `[headDim]`. */
  readonly gains: Tensor;
}

/** What a unit lets others see or replace while it runs. */
export interface Hooks {
  /** How a Linear is computed of its input; undefined for `x W^T + b`, of a stack of experts for that of each of its rows. */
  readonly product?: (layer: string, input: Tensor, linear: LinearWeights, groups?: RowGroups) => Tensor | undefined;
  /**
   * Called with the input of each Linear, before it is computed: `[..., in]`, of a stack of experts `[rows, in]` with the experts
   * that the rows belong to.
   */
  readonly observe?: (layer: string, input: Tensor, linear: LinearWeights, groups?: RowGroups) => void;
  /**
   * Experts that are to see every token once, after those that are routed: `observe` and `product` are called for all tokens
   * (`groups.dropped`), and what these experts give of them is dropped.
   */
  readonly through?: readonly number[];
  /** Called with what attention is about to mix. */
  readonly attention?: (values: AttentionValues) => void;
}

/**
 * Runs units; differentiable in ports and weights. What a unit does not write, it gives back as it came, where a later unit
 * reads it.
 */
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
