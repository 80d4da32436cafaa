import { OpenGraph } from "../../../network/graph/compute/open-graph.js";
import type { GraphNetwork } from "../../../network/index.js";
import { numbersIn } from "../../../tensor/index.js";

/** What memory and time of a unit of a graph depend on, in numbers of one example. */
export interface UnitExtent {
  /** All values that its operations make: what autograd keeps. */
  readonly made: number;
  /** Values at its input, and at that of the unit after it: its own, and those that pass by. */
  readonly read: number;
  readonly left: number;
  /** Those that it can't be computed without, and those that it makes for others. */
  readonly own: number;
  readonly layers: readonly LayerExtent[];
}

export interface LayerExtent {
  readonly module: string;
  readonly rows: number;
  readonly columns: number;
  /** Places of the output at which the weight is multiplied: of a convolution its pixels. */
  readonly positions: number;
  /** Numbers of the value that it reads. */
  readonly inputs: number;
}

/** Those of every unit of a graph, in order; nothing of a weight is read. */
export function unitExtents(network: GraphNetwork): readonly UnitExtent[] {
  const { cut } = network;
  using open = new OpenGraph(cut, network.ports(1, 0), { device: "cpu", dtype: "float32" });
  const shapes = open.shapesAt(1);
  const numbers = (name: string): number => numbersIn(shapes.get(name) ?? []);
  const sum = (names: readonly string[]): number => names.reduce((total, name) => total + numbers(name), 0);
  const passing = (unit: number): number =>
    Object.values(network.ports(1, unit)).reduce((sum, shape) => sum + numbersIn(shape), 0);
  return cut.units.map((unit, index) => ({
    made: unit.nodes
      .flatMap(({ outputs }) => outputs)
      .reduce((sum, name) => sum + (name === "" ? 0 : numbers(name)), 0),
    read: passing(index),
    left: passing(index + 1),
    own: sum([...(unit.plan.needs ?? unit.reads), ...unit.writes]),
    layers: unit.layers.map(({ node, plan: { module, rows, columns } }) => ({
      ...{ module, rows, columns },
      positions: numbers(node.outputs[0] ?? "") / rows,
      inputs: numbers(node.inputs[0] ?? ""),
    })),
  }));
}

/** Multiplications of the weights of a unit with one example. */
export function multiplications({ layers }: UnitExtent): number {
  return layers.reduce((sum, { rows, columns, positions }) => sum + rows * columns * positions, 0);
}
