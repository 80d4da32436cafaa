import { portOf } from "../../../calibration/port-store.js";
import { type Device, type DType, keep, noGrad, scope, Tensor } from "../../../tensor/index.js";
import { applyLinear } from "../../apply-linear.js";
import type { Hooks, Ports } from "../../unit.js";
import { type LinearProduct, linearOf, type UnitWeights } from "../../unit-weights.js";
import { operators } from "../operators/index.js";
import type { NodeCall } from "../operators/operator.js";
import { convolve, convolvedRows } from "../operators/products.js";
import { convolveTransposed, transposedRows } from "../operators/transposed-convolution.js";
import { dependenceOf } from "../units/dependence.js";
import type { CutGraph, GraphUnit } from "../units/graph-units.js";
import type { GraphLayer } from "../units/layers.js";
import { weightOfRows } from "../units/weight-rows.js";
import { knownValue } from "./known-value.js";
import { constantsOf } from "./run-graph.js";
import { GraphContext, runNodes, type Value } from "./run-nodes.js";

/** Shapes of a graph's inputs, of one example. */
export type InputShapes = Readonly<Record<string, readonly number[]>>;

/**
 * A cut graph with all that its units need beside the weights of their layers: other constants, and what follows from shapes
 * alone, once for each size of batch that comes.
 */
export class OpenGraph implements Disposable {
  readonly #context: GraphContext;
  readonly #constants = new Map<string, Value>();
  /** By size of batch; one for all where no shape is asked for. */
  readonly #fixed = new Map<number, ReadonlyMap<string, Value>>();
  readonly #layers: ReadonlyMap<number, GraphLayer>;
  readonly #dependsOnBatch: boolean;

  constructor(
    private readonly cut: CutGraph,
    private readonly inputs: InputShapes,
    to: { readonly device: Device; readonly dtype: DType },
  ) {
    const { graph, units } = cut;
    this.#context = new GraphContext(graph, to.device, to.dtype);
    this.#layers = new Map(units.flatMap((unit) => unit.layers.map((layer) => [layer.node.index, layer] as const)));
    this.#dependsOnBatch = graph.nodes.some(({ operator }) => operators.get(operator)?.ofShape === true);
    try {
      for (const [name, value] of constantsOf(graph, to, this.#layerConstants())) this.#constants.set(name, value);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * What leaves a unit of the ports that it is given, which may be fewer than there are: those that it needs. What it makes on the
   * way belongs to the scope around the call.
   */
  run(unit: GraphUnit, weights: UnitWeights, ports: Ports, hooks: Hooks): Ports {
    const batch = Object.values(ports)[0]?.size(0) ?? 1;
    const values = new Map([...this.#constants, ...this.#fixedAt(batch)]);
    for (const { plan, weight, bias } of unit.layers) {
      const linear = linearOf(weights, plan.name);
      values.set(weight, { tensor: linear.weight, host: false });
      if (bias !== null && linear.bias !== null) values.set(bias, { tensor: linear.bias, host: false });
    }
    for (const name of unit.reads) values.set(name, { tensor: this.#port(ports, name), host: false });
    // All of them: whoever observes inputs may read these until the unit has run.
    const stay = new Set(unit.nodes.flatMap(({ outputs }) => outputs));
    runNodes(this.#context, unit.nodes, values, stay, {
      replaced: (call) => {
        const layer = this.#layers.get(call.node.index);
        return layer === undefined ? undefined : computeLayer(call, layer, weights, hooks);
      },
    });
    const written = new Map(unit.writes.map((name) => [name, (values.get(name) as Value).tensor] as const));
    return Object.fromEntries(
      unit.leaves.flatMap((name) => {
        const tensor = written.get(name) ?? ports[name];
        return tensor === undefined ? [] : [[name, tensor] as const];
      }),
    );
  }

  /** Shapes of all values of a batch of this size, found by computing zeros, and steps that it knows; nothing of a weight is read. */
  shapesAt(batch: number): ReadonlyMap<string, readonly number[]> {
    const shapes = new Map<string, readonly number[]>();
    const fixed = this.#probe(batch, (name, { tensor }) => shapes.set(name, tensor.shape));
    for (const { tensor } of fixed.values()) tensor.dispose();
    for (const { name } of this.cut.graph.inputs) shapes.set(name, [batch, ...(this.inputs[name] ?? [])]);
    return shapes;
  }

  [Symbol.dispose](): void {
    this.#context[Symbol.dispose]();
    for (const values of [this.#constants, ...this.#fixed.values()]) {
      for (const { tensor } of values.values()) tensor.dispose();
    }
    this.#constants.clear();
    this.#fixed.clear();
  }

  #layerConstants(): ReadonlySet<string> {
    const layers = [...this.#layers.values()];
    return new Set(layers.flatMap(({ weight, bias }) => (bias === null ? [weight] : [weight, bias])));
  }

  #port(ports: Ports, name: string): Tensor {
    const tensor = portOf(ports, name);
    const port = this.cut.graph.inputs.find((each) => each.name === name);
    if (port === undefined) return tensor;
    // Single numbers are kept in fp32, whatever is computed with: a time step has to stay what it is.
    const floating = port.dataType !== "int64" && port.dataType !== "int32";
    return tensor.to(floating ? this.#context.dtype : port.dataType);
  }

  #fixedAt(batch: number): ReadonlyMap<string, Value> {
    const key = this.#dependsOnBatch ? batch : 0;
    const known = this.#fixed.get(key);
    if (known !== undefined) return known;
    const found = this.#probe(batch);
    this.#fixed.set(key, found);
    return found;
  }

  #probe(batch: number, made?: (name: string, value: Value) => void): ReadonlyMap<string, Value> {
    const { graph, units, dependence } = this.cut;
    const { device, dtype } = this.#context;
    const inUnits = new Set(units.flatMap(({ nodes }) => nodes));
    const read = new Set([...inUnits].flatMap(({ inputs }) => inputs));
    const fixed = new Set(
      graph.nodes
        .filter((node) => dependenceOf(dependence, node) === "fixed")
        .flatMap(({ outputs }) => outputs)
        .filter((name) => read.has(name)),
    );
    return noGrad(() =>
      scope(() => {
        const values = new Map(this.#constants);
        const zero = Tensor.zeros([], { device, dtype });
        for (const name of this.#layerConstants()) {
          const shape = graph.constants.get(name)?.shape ?? [];
          values.set(name, { tensor: zero.expand(shape), host: false, constant: true });
        }
        for (const { name, dataType } of graph.inputs) {
          const floating = dataType !== "int64" && dataType !== "int32";
          const shape = [batch, ...(this.inputs[name] ?? [])];
          const known = knownValue(graph, name);
          const tensor = Tensor.full(shape, known, { device, dtype: floating ? dtype : dataType });
          values.set(name, { tensor, host: false });
        }
        runNodes(this.#context, graph.nodes, values, fixed, made === undefined ? {} : { made });
        return new Map(
          [...fixed].map((name): [string, Value] => {
            const value = values.get(name) as Value;
            return [name, { tensor: keep(value.tensor), host: value.host, constant: true }];
          }),
        );
      }),
    );
  }
}

function computeLayer(call: NodeCall, layer: GraphLayer, weights: UnitWeights, hooks: Hooks): Tensor {
  const own = ownProduct(call, layer);
  return applyLinear(weights, hooks, layer.plan.name, call.tensor(0), own === null ? {} : { own });
}

/** What the node does with a weight `[out, in * kernel]`; null for a plain product. */
function ownProduct(call: NodeCall, layer: GraphLayer): LinearProduct | null {
  const { shape } = layer;
  switch (call.node.operator) {
    case "Conv":
      return {
        multiply: (x, weight, bias) => convolve(call, x, weight.reshape(shape), bias),
        rows: (x) => convolvedRows(call, x, shape),
      };
    case "ConvTranspose":
      return {
        multiply: (x, weight, bias) => convolveTransposed(call, x, weightOfRows(weight, layer), bias),
        rows: (x) => transposedRows(call, x, shape),
      };
    default:
      return null;
  }
}
