import type { Tensor } from "../tensor/index.js";
import { collectOwned, loadAll, type TensorSource } from "./owned-weights.js";
import type { UnitPlan } from "./unit.js";

export interface LinearWeights {
  /** `[out, in]` */
  readonly weight: Tensor;
  /** `[out]` */
  readonly bias: Tensor | null;
  /** How it is multiplied with an input while a unit runs; left out for `x W^T + b`. */
  readonly product?: LinearProduct;
}

/** A product that is no plain one: a convolution. */
export interface LinearProduct {
  /** Of an input with a weight `[out, in]` and a bias `[out]`. */
  multiply(input: Tensor, weight: Tensor, bias: Tensor | null): Tensor;
  /** What of an input the rows of the weight are multiplied with, `[batch, positions, in]`; of a grouped convolution those of all groups. */
  rows(input: Tensor): Tensor;
}

export interface NormWeights {
  /** `[width]` */
  readonly weight: Tensor;
  /** `[width]`; null for RMS norms. */
  readonly bias: Tensor | null;
}

/** The tensors of one unit, by the names of its plan. */
export interface UnitWeights {
  readonly layers: ReadonlyMap<string, LinearWeights>;
  readonly norms: ReadonlyMap<string, NormWeights>;
}

/** Those that own their memory. */
export interface OwnedUnitWeights extends UnitWeights {
  dispose(): void;
}

/** Shapes of stored tensors by full name, in the order in which they are loaded. */
export type TensorShapes = ReadonlyMap<string, readonly number[]>;

/** Every tensor of a checkpoint that a unit reads, and the shape that it must have. */
export function unitTensors(unit: UnitPlan): TensorShapes {
  const shapes = new Map<string, readonly number[]>();
  for (const { module, kind, width } of unit.norms) {
    shapes.set(`${module}.weight`, [width]);
    if (kind === "layer") shapes.set(`${module}.bias`, [width]);
  }
  for (const { module, rows, columns, bias } of unit.layers) {
    shapes.set(`${module}.weight`, [rows, columns]);
    if (bias) shapes.set(`${module}.bias`, [rows]);
  }
  return shapes;
}

/** Loads a unit. @throws CheckpointError naming the tensor */
export function loadUnit(source: TensorSource, unit: UnitPlan): OwnedUnitWeights {
  return loadAll(source, (load) => {
    const layers = new Map<string, LinearWeights>();
    const norms = new Map<string, NormWeights>();
    for (const { name, module, kind, width } of unit.norms) {
      const weight = load(`${module}.weight`, [width]);
      norms.set(name, { weight, bias: kind === "layer" ? load(`${module}.bias`, [width]) : null });
    }
    for (const { name, module, rows, columns, bias } of unit.layers) {
      const weight = load(`${module}.weight`, [rows, columns]);
      layers.set(name, { weight, bias: bias ? load(`${module}.bias`, [rows]) : null });
    }
    return { layers, norms };
  });
}

/** Weights that are `change` of those given, which stay; they own what `change` returns. */
export function mapUnit(weights: UnitWeights, change: (tensor: Tensor) => Tensor): OwnedUnitWeights {
  return collectOwned((own) => {
    const changed = <T extends LinearWeights | NormWeights>(all: ReadonlyMap<string, T>): Map<string, T> =>
      new Map(
        [...all].map(([name, pair]) => {
          const weight = own(change(pair.weight));
          return [name, { ...pair, weight, bias: pair.bias === null ? null : own(change(pair.bias)) }] as const;
        }),
      );
    return { layers: changed(weights.layers), norms: changed(weights.norms) };
  });
}

/** The Linear of this name. */
export function linearOf({ layers }: UnitWeights, name: string): LinearWeights {
  const linear = layers.get(name);
  if (linear === undefined) throw new TypeError(`no Linear "${name}" in this unit`);
  return linear;
}

/** The norm of this name. */
export function normWeights({ norms }: UnitWeights, name: string): NormWeights {
  const norm = norms.get(name);
  if (norm === undefined) throw new TypeError(`no norm "${name}" in this unit`);
  return norm;
}
