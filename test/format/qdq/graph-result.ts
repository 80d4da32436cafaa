import { OnnxContent } from "../../../src/checkpoint/onnx/onnx-content.js";
import { floatsFromBytes } from "../../../src/format/bits/float-bytes.js";
import type { ExportSource, QuantizedLayout } from "../../../src/format/contract/export-source.js";
import type { GraphSource } from "../../../src/format/contract/graph-source.js";
import { type InputGrid, isKeyed } from "../../../src/format/contract/input-grid.js";
import { throughUnits } from "../../../src/network/graph/testing/through-units.js";
import { GraphNetwork, GraphTensors, multiplied, readGraph } from "../../../src/network/index.js";
import type { QuantizedWeight } from "../../../src/quant/quantized-weight.js";
import { noGrad, scope, Tensor } from "../../../src/tensor/index.js";
import { foldBatchNorms } from "../../../src/transform/batch-norm/fold-batch-norm.js";
import type { Given, Output } from "../../graph/against-onnxruntime.js";
import { type RtnScheme, roundToNearest } from "../rtn-source.js";

export interface GraphResultOptions {
  /** Null leaves a layer in floating point. */
  readonly schemeOf: (module: string) => RtnScheme | null;
  readonly gridOf?: (module: string) => InputGrid | null;
  readonly fold?: boolean;
  /** Floats that the result has otherwise, by name: `stem.bias`. */
  readonly plain?: ReadonlyMap<string, Uint8Array>;
  /** Sizes of inputs that the file leaves open. */
  readonly given?: Readonly<Record<string, readonly number[]>>;
}

/** A graph rounded to nearest on plain arrays: a result to write, without the quantizer. */
export function graphResult(
  file: string,
  { schemeOf, gridOf = () => null, fold = false, plain: changed = new Map(), given = {} }: GraphResultOptions,
): ExportSource & { readonly graph: GraphSource; readonly network: GraphNetwork } & Disposable {
  const content = OnnxContent.open(file);
  const graph = readGraph(content);
  const network = GraphNetwork.create(fold ? foldBatchNorms(graph).graph : graph, given);
  const tensors = new GraphTensors(network.cut);
  const linears = new Map<string, QuantizedLayout>();
  const inputGrids = new Map<string, InputGrid>();
  const plain = new Map(tensors.tensors);
  for (const { module, rows, columns } of network.units.flatMap(({ layers }) => layers)) {
    const scheme = schemeOf(module);
    if (scheme === null) continue;
    const { bits, group, symmetric } = scheme;
    linears.set(module, { bits, groupSize: group ?? columns, perChannel: group === null, symmetric, rows, columns });
    plain.delete(`${module}.weight`);
    const grid = gridOf(module);
    if (grid !== null) inputGrids.set(module, grid);
  }
  return {
    config: {},
    folder: tensors.folder,
    linears,
    plain,
    activations: null,
    inputScales: new Map(),
    inputGrids,
    graph: { content, cut: network.cut },
    network,
    async readQuantized(module) {
      const layout = linears.get(module);
      if (layout === undefined) throw new Error(`${module} is not quantized here`);
      return roundToNearest(floatsFromBytes(tensors.readSync(`${module}.weight`), "F32", module), layout);
    },
    readPlain: async (name) => changed.get(name) ?? tensors.readSync(name),
    [Symbol.dispose]: () => content.close(),
  };
}

/** What a result computes by crossblock's own simulation: the source's units on decoded weights and quantized inputs. */
export function simulated(
  { network, inputGrids = new Map() }: ReturnType<typeof graphResult>,
  weights: ReadonlyMap<string, QuantizedWeight>,
  inputs: Readonly<Record<string, Given>>,
): Readonly<Record<string, Output>> {
  return noGrad(() =>
    scope(() => {
      const ports = Object.entries(inputs).map(
        ([name, { values, shape }]) => [name, Tensor.from(values, shape)] as const,
      );
      const made = throughUnits(network, Object.fromEntries(ports), {
        product: (layer, input, linear) => {
          const weight = weights.get(layer);
          const grid = inputGrids.get(layer);
          const x = grid === undefined ? input : onGrid(input, grid);
          return multiplied(x, weight === undefined ? linear.weight : dequantized(weight), linear);
        },
      });
      return Object.fromEntries(
        Object.entries(made).map(([name, tensor]) => [
          name,
          { shape: tensor.shape, values: Float64Array.from(tensor.toFloat32Array()) },
        ]),
      );
    }),
  );
}

/** As ONNX rounds: to nearest, ties to even, and the zero point is added after it. */
function onGrid(input: Tensor, grid: InputGrid): Tensor {
  if (isKeyed(grid)) throw new TypeError("a grid by time step");
  const { bits, scale, zeroPoint } = grid;
  const codes = input
    .div(scale)
    .round()
    .add(zeroPoint)
    .clamp(0, 2 ** bits - 1);
  return codes.sub(zeroPoint).mul(scale);
}

/** The weight `[out, in]` that codes stand for. */
export function dequantized({ rows, columns, groupSize, codes, scales, zeroPoints }: QuantizedWeight): Tensor {
  const values = Float32Array.from(codes, (code, i) => {
    const group = Math.floor(i / groupSize);
    return (code - (zeroPoints[group] ?? 0)) * (scales[group] ?? 0);
  });
  return Tensor.from(values, [rows, columns]);
}
