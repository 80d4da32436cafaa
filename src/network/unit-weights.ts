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
  /** `[width]`, as stored. */
  readonly weight: Tensor;
  /** `[width]`; null for norms without shifts. */
  readonly bias: Tensor | null;
  /** What is added to the stored gains: 1 where these are stored less one. */
  readonly offset: 0 | 1;
  /** What a normalised vector is multiplied by behind gains and shifts, `[width, width]`; absent for most. */
  readonly matrix?: Tensor;
}

/** The tensors of one unit, by the names of its plan. */
export interface UnitWeights {
  readonly layers: ReadonlyMap<string, LinearWeights>;
  readonly norms: ReadonlyMap<string, NormWeights>;
  /** What is neither. */
  readonly tensors: ReadonlyMap<string, Tensor>;
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
  for (const { module, bias, width, matrix } of unit.norms) {
    shapes.set(`${module}.weight`, [width]);
    if (bias) shapes.set(`${module}.bias`, [width]);
    if (matrix !== undefined) shapes.set(matrix, [width, width]);
  }
  for (const { tensor, shape } of unit.tensors ?? []) shapes.set(tensor, shape);
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
    const tensors = new Map<string, Tensor>();
    for (const { name, module, gain, bias, width, matrix } of unit.norms) {
      const weight = load(`${module}.weight`, [width]);
      const offset = gain === "w" ? 0 : 1;
      const own = { weight, bias: bias ? load(`${module}.bias`, [width]) : null, offset } as const;
      norms.set(name, matrix === undefined ? own : { ...own, matrix: load(matrix, [width, width]) });
    }
    for (const { name, tensor, shape } of unit.tensors ?? []) tensors.set(name, load(tensor, shape));
    for (const { name, module, rows, columns, bias } of unit.layers) {
      const weight = load(`${module}.weight`, [rows, columns]);
      layers.set(name, { weight, bias: bias ? load(`${module}.bias`, [rows]) : null });
    }
    return { layers, norms, tensors };
  });
}

/** Weights that are `change` of those given, which stay; they own what `change` returns. */
export function mapUnit(weights: UnitWeights, change: (tensor: Tensor) => Tensor): OwnedUnitWeights {
  return collectOwned((own) => {
    const changed = <T extends LinearWeights | NormWeights>(all: ReadonlyMap<string, T>): Map<string, T> =>
      new Map(
        [...all].map(([name, pair]) => {
          const weight = own(change(pair.weight));
          const bias = pair.bias === null ? null : own(change(pair.bias));
          const matrix = "matrix" in pair && pair.matrix !== undefined ? { matrix: own(change(pair.matrix)) } : {};
          return [name, { ...pair, weight, bias, ...matrix }] as const;
        }),
      );
    const tensors = new Map([...weights.tensors].map(([name, tensor]) => [name, own(change(tensor))] as const));
    return { layers: changed(weights.layers), norms: changed(weights.norms), tensors };
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

/** The tensor of this name that is neither a Linear nor a norm. */
export function tensorOf({ tensors }: UnitWeights, name: string): Tensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new TypeError(`no tensor "${name}" in this unit`);
  return tensor;
}

/** What a norm multiplies by, fp32 or the dtype in which its gains are held: those stored, or one more. */
export function gainsOf({ weight, offset }: NormWeights): Tensor {
  return offset === 0 ? weight : weight.add(offset);
}
