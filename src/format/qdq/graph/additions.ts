import {
  ATTRIBUTE_TYPES,
  DATA_TYPE_BYTES,
  type DataType,
  type OnnxAttribute,
  type OnnxNode,
} from "../../../checkpoint/onnx/schema.js";
import { type IntegerType, isNibble } from "../layer-form.js";
import type { Names } from "./names.js";

/** What an initializer holds that is added to a graph. */
export type AddedContent =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "codes" | "scales" | "zeroPoints"; readonly module: string }
  /** Floats of a layer that the file has no constant for: the bias that a batch norm left. */
  | { readonly kind: "floats"; readonly constant: string };

/** An initializer that is added to a graph. */
export interface AddedTensor {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  readonly content: AddedContent;
}

/** Nodes and initializers that are added to a graph, under names that are free in it. */
export class Additions {
  readonly tensors: AddedTensor[] = [];
  readonly #shared = new Map<string, string>();
  #nodes: OnnxNode[] = [];

  constructor(readonly names: Names) {}

  /** Adds a node with one output, and gives the output's name. */
  node(
    name: string,
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, number | readonly number[]>> = {},
  ): string {
    const own = this.names.free(name);
    const output = this.names.free(`${own}_Output`);
    const listed = Object.entries(attributes).map(([key, value]) => attributeOf(key, value));
    this.#nodes.push({
      inputs,
      outputs: [output],
      name: own,
      operator,
      ...(listed.length > 0 && { attributes: listed }),
    });
    return output;
  }

  /** The nodes that were added since this was asked last. */
  takeNodes(): readonly OnnxNode[] {
    const nodes = this.#nodes;
    this.#nodes = [];
    return nodes;
  }

  /** What `make` adds, once for all that ask for it. */
  once(key: string, make: () => string): string {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#shared.set(key, made);
    return made;
  }

  tensor(name: string, dataType: DataType, shape: readonly number[], content: AddedContent): string {
    return this.existing(this.names.free(name), dataType, shape, content);
  }

  /** An initializer under the name that nodes have for it already. */
  existing(own: string, dataType: DataType, shape: readonly number[], content: AddedContent): string {
    const byteLength = Math.ceil(shape.reduce((product, size) => product * size, DATA_TYPE_BYTES[dataType]));
    this.tensors.push({ name: own, dataType, shape, byteLength, content });
    return own;
  }

  float32(name: string, values: readonly number[], shape: readonly number[] = [values.length]): string {
    const bytes = new Uint8Array(Float32Array.from(values).buffer);
    return this.tensor(name, "float32", shape, { kind: "bytes", bytes });
  }

  /** An int64 constant; equal ones are shared. */
  int64(values: readonly number[], shape: readonly number[] = [values.length]): string {
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    const name = `integers_${values.join("_")}`;
    return this.once(`int64 ${shape} ${values}`, () => this.tensor(name, "int64", shape, { kind: "bytes", bytes }));
  }

  /** Small unsigned codes: zero points. */
  codes(name: string, type: IntegerType, values: readonly number[], shape: readonly number[]): string {
    const bytes = new Uint8Array(isNibble(type) ? Math.ceil(values.length / 2) : values.length);
    values.forEach((value, i) => {
      if (!isNibble(type)) bytes[i] = value;
      else bytes[i >> 1] = (bytes[i >> 1] ?? 0) | ((value & 15) << (4 * (i & 1)));
    });
    return this.tensor(name, type, shape, { kind: "bytes", bytes });
  }
}

function attributeOf(name: string, value: number | readonly number[]): OnnxAttribute {
  if (typeof value === "number") return { name, int: value, type: ATTRIBUTE_TYPES.int };
  return { name, ints: value, type: ATTRIBUTE_TYPES.ints };
}
