import { ModelError } from "../../../errors.js";
import {
  type Device,
  type DType,
  isOutOfMemory,
  keep,
  noGrad,
  scope,
  type Tensor,
  TensorError,
} from "../../../tensor/index.js";
import { type Graph, type GraphNode, whereOf } from "../graph.js";
import { operators } from "../operators/index.js";
import { NodeCall } from "../operators/operator.js";

/** A value while a graph runs. What follows from shapes and small constants alone is on the host, exact. */
export interface Value {
  readonly tensor: Tensor;
  readonly host: boolean;
  /** It is the same in every run. */
  readonly constant?: true;
}

/** Where and how a graph is computed; owns what depends on shapes alone and is the same in every run. */
export class GraphContext implements Disposable {
  /** What nodes made of shapes, and host values of some run as the device has them. */
  readonly kept = new Map<string, Tensor>();
  /** Host values that are the same in every run, as the device has them. */
  readonly #constants = new Map<Tensor, Tensor>();

  constructor(
    readonly graph: Graph,
    readonly device: Device,
    readonly dtype: DType,
  ) {}

  /** A host value where the other operands are, in the graph's floating-point type. */
  onDevice(name: string, { tensor, constant }: Value): Tensor {
    if (constant === true) return known(this.#constants, tensor, () => this.#moved(tensor));
    // What is computed may differ from run to run: with the size of the batch.
    const key = `${name}:${tensor.shape.join()}:${tensor.toArray().join()}`;
    return known(this.kept, key, () => this.#moved(tensor));
  }

  #moved(tensor: Tensor): Tensor {
    const floating = tensor.dtype === "float32";
    return keep(noGrad(() => scope(() => (floating ? tensor.to(this.dtype) : tensor).to(this.device))));
  }

  [Symbol.dispose](): void {
    for (const made of [this.kept, this.#constants]) {
      for (const tensor of made.values()) tensor.dispose();
      made.clear();
    }
  }
}

/** What takes part while nodes are computed. */
export interface NodeHooks {
  /** Computes a node otherwise than its operator says; undefined leaves it to the operator. */
  readonly replaced?: (call: NodeCall) => Tensor | undefined;
  /** Called with every value that is made. */
  readonly made?: (name: string, value: Value) => void;
}

/**
 * Computes nodes in their order. Values that no later node of these needs and that are not asked for are freed on the way.
 *
 * @param values what the nodes read, by name; what they make is added
 * @param wanted values that stay
 * @throws ModelError naming the node whose inputs do not fit; TensorError when memory runs out
 */
export function runNodes(
  context: GraphContext,
  nodes: readonly GraphNode[],
  values: Map<string, Value>,
  wanted: ReadonlySet<string>,
  { replaced, made }: NodeHooks = {},
): void {
  const uses = new Map<string, number>();
  for (const { inputs } of nodes) for (const input of inputs) uses.set(input, (uses.get(input) ?? 0) + 1);
  const own = new Set(nodes.flatMap(({ outputs }) => outputs).filter((name) => !wanted.has(name)));
  const release = (name: string): void => {
    if (!own.has(name) || (uses.get(name) ?? 0) > 0) return;
    values.get(name)?.tensor.dispose();
    values.delete(name);
  };
  for (const node of nodes) {
    for (const [name, value] of runNode(context, node, values, replaced)) {
      made?.(name, value);
      values.set(name, value);
      release(name);
    }
    for (const input of node.inputs) {
      uses.set(input, (uses.get(input) ?? 0) - 1);
      release(input);
    }
  }
}

function runNode(
  context: GraphContext,
  node: GraphNode,
  values: ReadonlyMap<string, Value>,
  replaced: NodeHooks["replaced"],
): [string, Value][] {
  const { graph, device, dtype } = context;
  const operator = operators.get(node.operator);
  if (operator === undefined) throw new TypeError(`the operator ${node.operator} was not refused`);
  const read = node.inputs.map((name) => (name === "" ? null : valueOfName(values, name)));
  const settings = operator.settings ?? [];
  const host =
    operator.ofShape === true ||
    (operator.ofWeights !== true && read.every((value, at) => value === null || value.host || settings.includes(at)));
  const inputs = read.map((value, at) => {
    if (value === null) return null;
    const moves = !host && value.host && !settings.includes(at);
    return moves ? context.onDevice(node.inputs[at] as string, value) : value.tensor;
  });
  const floatType = host && operator.ofShape !== true ? "float32" : dtype;
  try {
    const call = new NodeCall(node, graph.opset, inputs, floatType, graph.file, context.kept, graph.constants);
    const result = replaced?.(call) ?? scope(() => operator.run(call));
    const made = Array.isArray(result) ? (result as readonly Tensor[]) : [result as Tensor];
    return node.outputs.flatMap((name, i): [string, Value][] => {
      if (name === "") return [];
      const tensor = made[i] ?? call.refuse(`an output ${i} of an operator that makes ${made.length}`);
      return [[name, { tensor, host }]];
    });
  } catch (error) {
    if (error instanceof ModelError || isOutOfMemory(error) || !isRefusal(error)) throw error;
    throw new ModelError({
      what: "it can't be computed of its inputs",
      where: `${whereOf(graph.file, node)} on ${device}`,
      why: (error instanceof TensorError ? `${error.where}: ${error.what}` : (error as Error).message)
        .replace(/\s+/g, " ")
        .slice(0, 300),
      next: "give inputs of the sizes that the network was made for, or export it again",
      cause: error,
    });
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof TensorError || error instanceof RangeError;
}

function valueOfName(values: ReadonlyMap<string, Value>, name: string): Value {
  const value = values.get(name);
  if (value === undefined) throw new TypeError(`the value "${name}" is not there yet`);
  return value;
}

function known<K>(made: Map<K, Tensor>, key: K, make: () => Tensor): Tensor {
  const before = made.get(key);
  if (before !== undefined) return before;
  const found = make();
  made.set(key, found);
  return found;
}
