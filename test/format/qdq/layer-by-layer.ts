import { readFileSync, writeFileSync } from "node:fs";
import { encodeMessage } from "../../../src/checkpoint/onnx/encode-message.js";
import { joinedBytes, lengthField } from "../../../src/checkpoint/onnx/raw-message.js";
import { GRAPH, MODEL } from "../../../src/checkpoint/onnx/schema.js";
import type { InputGrid } from "../../../src/format/contract/input-grid.js";
import { isKeyed } from "../../../src/format/contract/input-grid.js";
import { throughUnits } from "../../../src/network/graph/testing/through-units.js";
import { multiplied } from "../../../src/network/index.js";
import { StoredTensorQuantizer } from "../../../src/quant/input/asymmetric-tensor.js";
import type { QuantizedWeight } from "../../../src/quant/quantized-weight.js";
import type { OnnxRuntime } from "../../../src/run/verify/runtime/onnx-runtime.js";
import { noGrad, scope, Tensor } from "../../../src/tensor/index.js";
import type { Given } from "../../graph/against-onnxruntime.js";
import { dequantized, type graphResult } from "./graph-result.js";

/** By how much two things differ at most, in shares of the largest number. */
export interface LayerDifferences {
  /** What reaches a layer, after all nodes between it and the layers before it. */
  readonly inputs: number;
  /** What a layer makes of the same input: its grid, its codes, its product. */
  readonly outputs: number;
  /** What the network gives. */
  readonly last: number;
  readonly layers: number;
}

/**
 * Holds a written file against the simulation layer by layer: each layer is given what onnxruntime had there, and what follows goes on
 * from what onnxruntime made of it, so that nothing grows that was within the rounding of sums.
 */
export async function layerByLayer(
  runtime: OnnxRuntime,
  written: string,
  {
    network,
    inputGrids,
  }: Pick<ReturnType<typeof graphResult>, "network"> & {
    readonly inputGrids: ReadonlyMap<string, InputGrid>;
  },
  weights: ReadonlyMap<string, QuantizedWeight>,
  inputs: Readonly<Record<string, Given>>,
): Promise<LayerDifferences> {
  const layers = new Map(network.cut.units.flatMap((unit) => unit.layers.map((layer) => [layer.plan.name, layer])));
  const given = new Set(network.cut.graph.inputs.map(({ name }) => name));
  const values = [...layers.values()].flatMap(({ node }) => [node.inputs[0] ?? "", node.outputs[0] ?? ""]);
  const last = network.cut.graph.outputs[0]?.name ?? "";
  const probed = `${written}.probed`;
  const outputs = [...new Set(values)].filter((name) => !given.has(name) && name !== last).map((name) => ({ name }));
  // Of a message that a file has twice the lists are joined.
  const more = lengthField(MODEL.graph.number, [encodeMessage({ outputs: GRAPH.outputs }, { outputs })]);
  writeFileSync(probed, joinedBytes([readFileSync(written), ...more]));
  const session = await runtime.InferenceSession.create(probed, {
    logSeverityLevel: 3,
    // Otherwise it multiplies in another layout, and in integers where the file says floats.
    graphOptimizationLevel: "disabled",
  });
  const theirs = await session.run(
    Object.fromEntries(
      Object.entries(inputs).map(([name, { values: own, shape }]) => [
        name,
        new runtime.Tensor("float32", own as Float32Array, [...shape]),
      ]),
    ),
  );
  const of = (name: string): Tensor => {
    const own = inputs[name];
    if (own !== undefined) return Tensor.from(own.values, own.shape);
    const found = theirs[name];
    if (found === undefined) throw new TypeError(`onnxruntime gave no ${name}`);
    return Tensor.from(found.data as Float32Array<ArrayBuffer>, found.dims);
  };
  const most = { inputs: 0, outputs: 0 };
  const made = noGrad(() =>
    scope(() => {
      const ports = Object.fromEntries(Object.keys(inputs).map((name) => [name, of(name)]));
      const ours = throughUnits(network, ports, {
        product: (name, input, linear) => {
          const node = layers.get(name)?.node;
          const [x, y] = [of(node?.inputs[0] ?? ""), of(node?.outputs[0] ?? "")];
          const own = scope(() => {
            const weight = weights.get(name);
            const on = onGrid(x, inputGrids.get(name));
            return multiplied(on, weight === undefined ? linear.weight : dequantized(weight), linear);
          });
          most.inputs = Math.max(most.inputs, apart(input, x));
          most.outputs = Math.max(most.outputs, apart(own, y));
          return y;
        },
      });
      return apart(ours[last] as Tensor, of(last));
    }),
  );
  await session.release();
  return { ...most, last: made, layers: layers.size };
}

function onGrid(x: Tensor, grid: InputGrid | undefined): Tensor {
  if (grid === undefined) return x;
  if (isKeyed(grid)) throw new TypeError("a grid by time step");
  const quantizer = new StoredTensorQuantizer(grid.bits, grid, x.device);
  try {
    return quantizer.apply(x);
  } finally {
    quantizer.dispose();
  }
}

function apart(a: Tensor, b: Tensor): number {
  return scope(() => a.sub(b).abs().amax().item() / Math.max(1e-9, b.abs().amax().item()));
}
