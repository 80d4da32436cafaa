import { quote } from "../../../checkpoint/json/json.js";
import type { DataType } from "../../../checkpoint/onnx/schema.js";
import { ModelError } from "../../../errors.js";
import { type DType, keep, noGrad, scope, type Tensor } from "../../../tensor/index.js";
import { type GraphConstant, type GraphNode, whereOf } from "../graph.js";

/** How an operator of ONNX is computed. Differentiable in its tensors. */
export interface Operator {
  /** Places of inputs that say how and not what: shapes, axes, bounds. They are read as numbers. */
  readonly settings?: readonly number[];
  /** Its result follows from the shape of its input alone, and is computed on the host like all that follows from it. */
  readonly ofShape?: true;
  /** Its result is what the network computes with, though it may follow from constants alone: it is never on the host. */
  readonly ofWeights?: true;
  /** Refuses what an operator of this name may say and crossblock does not compute. @throws ModelError */
  readonly check?: (node: GraphNode, where: string) => void;
  /** What it makes of its inputs, new handles all. */
  readonly run: (call: NodeCall) => Tensor | readonly Tensor[];
}

export type OperatorTable = Readonly<Record<string, Operator>>;

/** A node with its inputs, while it is computed. */
export class NodeCall {
  constructor(
    readonly node: GraphNode,
    /** Version of the operators. */
    readonly opset: number,
    /** Null where the node leaves an input out. */
    readonly inputs: readonly (Tensor | null)[],
    /** What the graph's floating-point types stand for here. */
    readonly floatType: DType,
    private readonly file: string,
    private readonly kept: Map<string, Tensor>,
    private readonly constants: ReadonlyMap<string, GraphConstant>,
  ) {}

  get attributes(): GraphNode["attributes"] {
    return this.node.attributes;
  }

  /** An input that has to be there. */
  tensor(at: number): Tensor {
    return this.inputs[at] ?? this.refuse(`its input ${at} is missing`);
  }

  /** Null where the node leaves the input out. */
  optional(at: number): Tensor | null {
    return this.inputs[at] ?? null;
  }

  /** An input as numbers, row by row; null where the node leaves it out. Integers beyond 2^53 are the nearest ones within. */
  numbers(at: number): readonly number[] | null {
    const tensor = this.optional(at);
    return tensor === null ? null : numbersOf(tensor);
  }

  /** The type in which the file stores an input; null for one that is computed. */
  storedType(at: number): DataType | null {
    return this.constants.get(this.node.inputs[at] ?? "")?.dataType ?? null;
  }

  /** A setting that is an input of newer versions and an attribute of older ones. */
  list(at: number, attribute: string): readonly number[] | null {
    return this.numbers(at) ?? this.attributes.ints(attribute);
  }

  /** A tensor that depends on shapes alone: made once and kept for the next run. `key` tells those of a node apart. */
  constant(key: string, make: () => Tensor): Tensor {
    const full = `${this.node.index}:${key}`;
    const known = this.kept.get(full);
    if (known !== undefined) return known;
    const made = keep(noGrad(() => scope(make)));
    this.kept.set(full, made);
    return made;
  }

  /** A dimension of a tensor of this rank, counted from the front. */
  axis(axis: number, rank: number): number {
    if (axis < -rank || axis >= rank) this.refuse(`axis ${axis} of a tensor of ${rank} dimensions`);
    return axis < 0 ? axis + rank : axis;
  }

  refuse(what: string, next = "export the network again, or simplify the graph (onnxsim)"): never {
    throw new ModelError({ what, where: whereOf(this.file, this.node), next });
  }
}

/** The elements of a tensor as numbers. */
export function numbersOf(tensor: Tensor): readonly number[] {
  if (tensor.dtype === "float16" || tensor.dtype === "bfloat16") return [...tensor.toFloat32Array()];
  return Array.from(tensor.toArray(), (value: number | bigint) =>
    Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value))),
  );
}

/** A check that refuses attributes whose value is not the one that is computed. */
export function only(fixed: Readonly<Record<string, number | string>>): NonNullable<Operator["check"]> {
  return ({ attributes }, where) => {
    for (const [name, value] of Object.entries(fixed)) {
      if (!attributes.has(name)) continue;
      const found = typeof value === "number" ? attributes.int(name, value) : attributes.string(name, value);
      if (found === value) continue;
      throw new ModelError({
        what: `${name} = ${found}, where crossblock computes ${name} = ${value} alone`,
        where,
        next: `export the network with ${name} = ${value}`,
      });
    }
  };
}

/** A check that refuses attributes whose text is none of those that are computed. */
export function oneOf(known: Readonly<Record<string, readonly string[]>>): NonNullable<Operator["check"]> {
  return ({ attributes }, where) => {
    for (const [name, values] of Object.entries(known)) {
      const found = attributes.string(name, values[0] ?? "");
      if (values.includes(found)) continue;
      throw new ModelError({
        what: `${name} = ${quote(found)}, which crossblock does not compute`,
        where,
        next: `export the network with one of ${values.join(", ")}`,
      });
    }
  };
}

/** A check that refuses a node whose outputs beyond the first are read. */
export const oneOutput: NonNullable<Operator["check"]> = ({ outputs }, where) => {
  if (outputs.slice(1).every((name) => name === "")) return;
  throw new ModelError({
    what: `its output "${outputs.slice(1).join('", "')}", which crossblock does not compute`,
    where,
    next: "export the network for inference, so that only the first output is left",
  });
};

/** Several checks, one after the other. */
export function both(...checks: readonly NonNullable<Operator["check"]>[]): NonNullable<Operator["check"]> {
  return (node, where) => {
    for (const check of checks) check(node, where);
  };
}
