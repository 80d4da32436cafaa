import { encodeMessage } from "../../../checkpoint/onnx/encode-message.js";
import {
  ATTRIBUTE_TYPES,
  DATA_TYPE_BYTES,
  DATA_TYPES,
  type DataType,
  EXTERNAL,
  MODEL,
  type OnnxAttribute,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from "../../../checkpoint/onnx/schema.js";
import { FormatError } from "../../../errors.js";
import { packageVersion } from "../../../package-version.js";

/** Domain of the operators that onnxruntime adds to ONNX. */
export const CONTRIB = "com.microsoft";

/** The versions that a file asks for: ONNX 1.16's operators, and onnxruntime's own. */
const OPERATOR_SETS = [
  { domain: "", version: 21 },
  { domain: CONTRIB, version: 1 },
];
const IR_VERSION = 10;

/** Attributes of a node: integers, lists of them and text as they are, floats wrapped, because 1 could be either. */
export type Attributes = Readonly<Record<string, number | readonly number[] | string | { readonly float: number }>>;

export interface NodeOptions {
  readonly attributes?: Attributes;
  /** Names of the outputs; `""` leaves one out. Default: one, with the node's name. */
  readonly outputs?: readonly string[];
  readonly domain?: typeof CONTRIB;
}

/** Where a tensor lies in one of the data files. */
export interface Placement {
  readonly location: string;
  readonly offset: number;
  readonly byteLength: number;
}

/** Collects a graph in the order in which it is computed. Values are known by name, nodes by their path. */
export class GraphBuilder {
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, OnnxTensor>();
  readonly #inputs: OnnxValue[] = [];
  readonly #outputs: OnnxValue[] = [];
  readonly #names = new Set<string>();

  /** Adds a node; returns its first output. */
  node(name: string, operator: string, inputs: readonly string[], options: NodeOptions = {}): string {
    const { attributes = {}, outputs = [name], domain } = options;
    if (this.#names.has(name)) throw new TypeError(`two nodes named ${name}`);
    this.#names.add(name);
    this.#nodes.push({
      inputs,
      outputs,
      name,
      operator,
      attributes: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
      ...(domain === undefined ? {} : { domain }),
    });
    return outputs[0] ?? name;
  }

  /** A small int64 tensor inside the file, `[n]`, or a scalar; equal ones are shared. */
  integers(values: readonly number[] | number): string {
    const list = typeof values === "number" ? [values] : values;
    const name = `const/${typeof values === "number" ? "scalar" : "list"}/${list.join("_")}`;
    return this.#inline(name, "int64", typeof values === "number" ? [] : [list.length], (view, i) =>
      view.setBigInt64(i * 8, BigInt(list[i] ?? 0), true),
    );
  }

  /** A float32 scalar inside the file. */
  scalar(value: number): string {
    return this.#inline(`const/float/${value}`, "float32", [], (view) => view.setFloat32(0, value, true));
  }

  /** A tensor whose bytes are in a data file. */
  external(name: string, dataType: DataType, shape: readonly number[], place: Placement): string {
    this.#initializers.set(name, {
      name,
      shape,
      dataType: DATA_TYPES[dataType],
      dataLocation: EXTERNAL,
      externalData: [
        { key: "location", value: place.location },
        { key: "offset", value: String(place.offset) },
        { key: "length", value: String(place.byteLength) },
      ],
    });
    return name;
  }

  input(name: string, dataType: DataType, shape: readonly (number | string)[]): string {
    this.#inputs.push(valueInfo(name, dataType, shape));
    return name;
  }

  output(name: string, dataType: DataType, shape: readonly (number | string)[]): void {
    this.#outputs.push(valueInfo(name, dataType, shape));
  }

  /** The file. @throws FormatError beyond protobuf's 2 GB, which only a network of millions of layers reaches */
  encode(graphName: string, metadata: ReadonlyMap<string, string>): Uint8Array {
    const bytes = encodeMessage(MODEL, {
      irVersion: IR_VERSION,
      producerName: "crossblock",
      producerVersion: packageVersion(),
      graph: {
        nodes: this.#nodes,
        name: graphName,
        initializers: [...this.#initializers.values()],
        inputs: this.#inputs,
        outputs: this.#outputs,
      },
      operatorSets: OPERATOR_SETS,
      metadata: [...metadata].map(([key, value]) => ({ key, value })),
    });
    if (bytes.length < 2 ** 31) return bytes;
    throw new FormatError({
      what: "the graph without its weights is larger than protobuf's 2 GB",
      where: graphName,
      next: "use --format compressed-tensors",
    });
  }

  #inline(
    name: string,
    dataType: DataType,
    shape: readonly number[],
    fill: (view: DataView, i: number) => void,
  ): string {
    if (!this.#initializers.has(name)) {
      const count = shape[0] ?? 1;
      const rawData = new Uint8Array(count * DATA_TYPE_BYTES[dataType]);
      for (let i = 0; i < count; i++) fill(new DataView(rawData.buffer), i);
      this.#initializers.set(name, { name, shape, dataType: DATA_TYPES[dataType], rawData });
    }
    return name;
  }
}

function attribute(name: string, value: Attributes[string] & {}): OnnxAttribute {
  if (typeof value === "number") return { name, int: value, type: ATTRIBUTE_TYPES.int };
  if (typeof value === "string") return { name, string: new TextEncoder().encode(value), type: ATTRIBUTE_TYPES.string };
  if ("float" in value) return { name, float: value.float, type: ATTRIBUTE_TYPES.float };
  return { name, ints: value, type: ATTRIBUTE_TYPES.ints };
}

function valueInfo(name: string, dataType: DataType, shape: readonly (number | string)[]): OnnxValue {
  const dimensions = shape.map((size) => (typeof size === "number" ? { value: size } : { symbol: size }));
  return { name, type: { tensor: { elementType: DATA_TYPES[dataType], shape: { dimensions } } } };
}
