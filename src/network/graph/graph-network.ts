import { ModelError } from "../../errors.js";
import { numbersIn, type Tensor } from "../../tensor/index.js";
import type { Network, NetworkEnd, NetworkStart, OpenNetwork, UnitPlacement } from "../network.js";
import type { Ports, UnitPlan } from "../unit.js";
import { type InputShapes, OpenGraph } from "./compute/open-graph.js";
import type { Graph, GraphPort } from "./graph.js";
import { type CutGraph, cutGraph, type GraphUnit, mergedUnits } from "./units/graph-units.js";

/** Examples for a graph: what its inputs are given. */
export interface GraphExamples {
  readonly count: number;
  /** The inputs of these examples, `[indices.length, ...]` each, on the CPU. The caller disposes them. */
  read(indices: readonly number[]): Ports;
}

/**
 * An ONNX graph as a network whose units are blocks and layers found in it. What passes between units are the graph's own
 * values, under their names. Its tokens are numbers of examples.
 */
export class GraphNetwork implements Network {
  readonly units: readonly UnitPlan[];
  readonly staticInputs = true;
  readonly #shapes: Readonly<Record<string, readonly number[]>>;

  /**
   * @param given sizes of inputs that the file leaves open, without the batch
   * @throws ModelError where a size is missing, or where the graph is made for one size of batch
   */
  static create(graph: Graph, given: InputShapes = {}, examples: GraphExamples | null = null): GraphNetwork {
    const inputs = Object.fromEntries(
      graph.inputs.map((port) => [port.name, exampleShape(graph, port, given[port.name])]),
    );
    return GraphNetwork.#of(cutGraph(graph), inputs, examples);
  }

  static #of(cut: CutGraph, inputs: InputShapes, examples: GraphExamples | null): GraphNetwork {
    const { graph } = cut;
    using open = new OpenGraph(cut, inputs, { device: "cpu", dtype: "float32" });
    const [one, two] = [open.shapesAt(1), open.shapesAt(2)];
    const perExample = (name: string): readonly number[] | null => {
      const [a, b] = [one.get(name) ?? [], two.get(name) ?? []];
      const scales = a[0] === 1 && b[0] === 2 && a.slice(1).join() === b.slice(1).join();
      return scales ? a.slice(1) : null;
    };
    for (const { name } of graph.outputs) {
      if (perExample(name) === null) throw fixedBatch(graph, name, two.get(name) ?? []);
    }
    const merged = mergedUnits(cut, (name) => perExample(name) !== null);
    const ports = [...graph.inputs.map(({ name }) => name), ...merged.units.flatMap(({ writes }) => writes)];
    const shapes = Object.fromEntries(ports.map((name) => [name, perExample(name) ?? []]));
    return new GraphNetwork(merged, inputs, shapes, examples);
  }

  private constructor(
    readonly cut: CutGraph,
    private readonly inputs: InputShapes,
    shapes: Readonly<Record<string, readonly number[]>>,
    private readonly examples: GraphExamples | null,
  ) {
    this.units = cut.units.map(({ plan }) => plan);
    this.#shapes = shapes;
  }

  /** Numbers of an example of the widest value that passes between units. */
  get width(): number {
    return Math.max(...Object.values(this.#shapes).map(numbersIn));
  }

  /** An example is one position, whatever it looks like. */
  ports(_length = 1, unit = 0): Readonly<Record<string, readonly number[]>> {
    const names = unit === 0 ? this.cut.graph.inputs.map(({ name }) => name) : this.#unit(unit - 1).leaves;
    return Object.fromEntries(names.map((name) => [name, this.#shapes[name] ?? []]));
  }

  /** The same network with every layer a unit of its own. */
  inLayers(): GraphNetwork {
    return GraphNetwork.#of(cutGraph(this.cut.graph, "together", { single: true }), this.inputs, this.examples);
  }

  /** The same network with what a single unit reads of conditions alone, a projection of the time embedding, in that unit. */
  withReaders(): GraphNetwork {
    return GraphNetwork.#of(cutGraph(this.cut.graph, "readers"), this.inputs, this.examples);
  }

  open({ device, dtype }: UnitPlacement): OpenNetwork {
    const open = new OpenGraph(this.cut, this.inputs, { device, dtype });
    return {
      run: (unit, weights, ports, hooks) => open.run(this.#unit(unit.index), weights, ports, hooks ?? {}),
      [Symbol.dispose]: () => open[Symbol.dispose](),
    };
  }

  /** Reads examples in place of tokens. */
  begin(): NetworkStart {
    const { examples } = this;
    if (examples === null) throw new TypeError("this network was opened without examples");
    return { run: (ids) => examples.read([...ids]), dispose: () => {} };
  }

  /** The graph's first output is what it says; where that is probabilities already, the head takes their logarithms. */
  end(): NetworkEnd {
    const port = this.cut.graph.outputs[0]?.name ?? "";
    const maker = this.cut.graph.nodes.find(({ outputs }) => outputs.includes(port));
    const head = (states: Tensor): Tensor =>
      maker?.operator === "Softmax" ? states.to("float32").clamp(1e-20).log() : states;
    return { port, head, dispose: () => {} };
  }

  #unit(index: number): GraphUnit {
    const unit = this.cut.units[index];
    if (unit === undefined) throw new RangeError(`the network has no unit ${index}`);
    return unit;
  }
}

function exampleShape({ file }: Graph, { name, shape }: GraphPort, given?: readonly number[]): readonly number[] {
  const where = `${file}, input "${name}"`;
  const stored = shape?.slice(1) ?? null;
  if (stored === null && given === undefined) {
    throw new ModelError({
      what: "the file does not say how many dimensions it has",
      where,
      next: "export the network with shapes",
    });
  }
  const wanted = given ?? stored?.map((size) => (typeof size === "number" ? size : null)) ?? [];
  const open = stored?.filter((size) => typeof size !== "number") ?? [];
  const sizes = wanted.filter((size) => size !== null);
  if (sizes.length < wanted.length) {
    throw new ModelError({
      what: `its sizes ${open.map((size) => size ?? "?").join(", ")} are open`,
      where,
      next: "give images of one size, or export the network for one",
    });
  }
  const fits =
    stored === null ||
    (stored.length === sizes.length && stored.every((size, i) => typeof size !== "number" || size === sizes[i]));
  if (!fits) {
    throw new ModelError({
      what: `an example of [${sizes.join(", ")}] where the file says [${stored?.map((size) => size ?? "?").join(", ")}]`,
      where,
      next: "give examples of that shape",
    });
  }
  return sizes;
}

function fixedBatch({ file }: Graph, output: string, shape: readonly number[]): ModelError {
  return new ModelError({
    what: `its output "${output}" is [${shape.join(", ")}] for two examples`,
    where: file,
    why: "the network is made for one size of batch, or makes one thing of all examples",
    next: "export it with a batch of any size (dynamic_axes)",
  });
}
