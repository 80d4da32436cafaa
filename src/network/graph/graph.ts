import type { DataType } from "../../checkpoint/onnx/schema.js";
import type { Attributes } from "./attributes.js";

/** One operation of a graph. Values are known by name. */
export interface GraphNode {
  /** Its place in the order in which the graph is computed. */
  readonly index: number;
  /** Its place among the nodes of the file. */
  readonly place: number;
  /** As in the file, else made of its operator and its output. */
  readonly name: string;
  readonly operator: string;
  /** Values that it reads; `""` where it leaves one out. */
  readonly inputs: readonly string[];
  /** Values that it makes; `""` where nobody reads one. */
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** A value that comes from outside, or that is the graph's result. */
export interface GraphPort {
  readonly name: string;
  readonly dataType: DataType;
  /** A size that the file leaves open is its name, or null; null as a whole where the file says nothing. */
  readonly shape: readonly (number | string | null)[] | null;
}

/** Numbers that a file gives: an initializer, or what a Constant node holds. */
export interface GraphConstant {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: readonly number[];
  /** Little-endian; may view the file. */
  bytes(): Uint8Array;
}

/** An ONNX graph, checked: every operator is known, and every value is made before it is read. */
export interface Graph {
  /** The file, for errors. */
  readonly file: string;
  /** Version of the operators. */
  readonly opset: number;
  /** In an order in which they can be computed. */
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, GraphConstant>;
  readonly inputs: readonly GraphPort[];
  readonly outputs: readonly GraphPort[];
}

/** The file and node that an error is about. */
export function whereOf(file: string, { name, operator }: Pick<GraphNode, "name" | "operator">): string {
  return `${file}, node "${name}" (${operator})`;
}
