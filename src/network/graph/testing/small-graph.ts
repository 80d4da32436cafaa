import { writeFileSync } from "node:fs";
import { encodeMessage } from "../../../checkpoint/onnx/encode-message.js";
import {
  ATTRIBUTE_TYPES,
  DATA_TYPES,
  type DataType,
  MODEL,
  type OnnxAttribute,
  type OnnxModel,
  type OnnxTensor,
} from "../../../checkpoint/onnx/schema.js";

/** Integers and text as they are, floats wrapped, tensors as messages. */
export type TestAttribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | OnnxTensor;

export interface TestNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  /** Default: one, `y` in the last node and `n0`, `n1`, ... in those before. */
  readonly outputs?: readonly string[];
  readonly attributes?: Readonly<Record<string, TestAttribute>>;
  readonly name?: string;
}

export interface TestPort {
  readonly dataType?: DataType;
  /** Text for a size that the file leaves open. */
  readonly shape: readonly (number | string)[];
}

/** A small ONNX model that a test describes. */
export interface TestGraph {
  readonly opset?: number;
  readonly nodes: readonly TestNode[];
  readonly constants?: Readonly<Record<string, OnnxTensor>>;
  readonly inputs: Readonly<Record<string, TestPort>>;
  /** Default: the last node's, `y`, of any shape. */
  readonly outputs?: Readonly<Record<string, DataType>>;
}

export function floats(values: readonly number[], shape: readonly number[] = [values.length]): OnnxTensor {
  return { shape, dataType: DATA_TYPES.float32, rawData: new Uint8Array(Float32Array.from(values).buffer) };
}

export function integers(values: readonly number[], shape: readonly number[] = [values.length]): OnnxTensor {
  return { shape, dataType: DATA_TYPES.int64, rawData: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) };
}

/** Numbers between -1 and 1 that look random and are the same everywhere. */
export function someNumbers(count: number, seed = 1): number[] {
  return Array.from({ length: count }, (_, i) => Math.fround(Math.sin(12.9898 * (i + 1) + 78.233 * seed) * 0.999));
}

/** A float tensor of such numbers. */
export function someFloats(shape: readonly number[], seed = 1): OnnxTensor {
  return floats(
    someNumbers(
      shape.reduce((product, size) => product * size, 1),
      seed,
    ),
    shape,
  );
}

export function graphModel({
  opset = 17,
  nodes,
  constants = {},
  inputs,
  outputs = { y: "float32" },
}: TestGraph): OnnxModel {
  const port = (name: string, { dataType = "float32", shape }: TestPort): object => ({
    name,
    type: {
      tensor: {
        elementType: DATA_TYPES[dataType],
        shape: { dimensions: shape.map((size) => (typeof size === "number" ? { value: size } : { symbol: size })) },
      },
    },
  });
  return {
    irVersion: 8,
    producerName: "crossblock-test",
    graph: {
      name: "test",
      nodes: nodes.map(({ operator, inputs: from, outputs: to, attributes = {}, name }, i) => ({
        inputs: from,
        outputs: to ?? [i === nodes.length - 1 ? "y" : `n${i}`],
        operator,
        ...(name !== undefined && { name }),
        attributes: Object.entries(attributes).map(([key, value]) => attributeOf(key, value)),
      })),
      initializers: Object.entries(constants).map(([name, tensor]) => ({ ...tensor, name })),
      inputs: Object.entries(inputs).map(([name, each]) => port(name, each)),
      outputs: Object.entries(outputs).map(([name, dataType]) => ({
        name,
        type: { tensor: { elementType: DATA_TYPES[dataType] } },
      })),
    },
    operatorSets: [{ domain: "", version: opset }],
  };
}

export function writeGraph(file: string, graph: TestGraph): void {
  writeFileSync(file, encodeMessage(MODEL, graphModel(graph)));
}

function attributeOf(name: string, value: TestAttribute): OnnxAttribute {
  if (typeof value === "number") return { name, int: value, type: ATTRIBUTE_TYPES.int };
  if (typeof value === "string") return { name, string: new TextEncoder().encode(value), type: ATTRIBUTE_TYPES.string };
  if ("float" in value) return { name, float: value.float, type: ATTRIBUTE_TYPES.float };
  if ("floats" in value) return { name, floats: value.floats, type: ATTRIBUTE_TYPES.floats };
  if ("rawData" in value) return { name, tensor: value, type: ATTRIBUTE_TYPES.tensor };
  return { name, ints: value as readonly number[], type: ATTRIBUTE_TYPES.ints };
}
