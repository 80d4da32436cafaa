import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { createPortStore, portOf } from "../calibration/port-store.js";
import { loadUnit } from "../network/index.js";
import { skipIds, skipNetwork } from "../network/testing/skip-network.js";
import { roundToNearest } from "../quant/grid/grid.js";
import { searchRange } from "../quant/grid/range.js";
import type { Parameter } from "../quant/parameter.js";
import { parseScheme } from "../quant/scheme.js";
import { FixedCodes } from "../quant/weight-path/fixed-codes.js";
import { type Adam, backward, callTensor, keep, manualSeed, scope, Tensor } from "../tensor/index.js";
import { testDevice } from "../tensor/testing/test-device.js";
import { trainEndToEnd } from "./end-to-end.js";
import { nextTokenLoss } from "./objective/output-objective.js";
import { backwardThroughPaths, QuantizedLayer } from "./quantized-layer.js";
import { forwardAll, QuantizedUnit } from "./quantized-unit.js";
import { SequenceParts } from "./sequence-parts.js";
import { FaultWatch } from "./training/fault-watch.js";

const CONTEXT = 16;
const device = testDevice;

describe("training end to end, of a network with several ports", () => {
  it("passes gradients along every port: what one unit writes and a later one reads, or several", () => {
    manualSeed(11);
    const source = (_name: string, shape: readonly number[]): Tensor =>
      keep(scope(() => (shape.length === 1 ? Tensor.ones(shape) : Tensor.randn(shape).mul(0.4)).to(device)));
    const scheme = parseScheme("W3A16g8");
    using running = skipNetwork.open({ device, dtype: "float32", length: CONTEXT });
    const blocks = skipNetwork.units.map((unit) => {
      const layers = new Map(
        unit.layers.map(({ name, module }) => [name, new QuantizedLayer(module, scheme, "float32")] as const),
      );
      const block = new QuantizedUnit(unit, running, loadUnit(source, unit), layers);
      for (const [name, layer] of layers) {
        const weight = block.weights.layers.get(name)?.weight as Tensor;
        scope(() => layer.learn(new FixedCodes(roundToNearest(weight, searchRange(weight, scheme, layer.name)))));
      }
      return block;
    });
    const start = skipNetwork.begin(source);
    const end = skipNetwork.end(source);
    const ids = skipIds(2, CONTEXT);
    const shape = { sequences: 2, tokens: CONTEXT, ports: skipNetwork.ports(CONTEXT) };
    const store = createPortStore(shape, "host", { dtype: "float32", device, scratch: tmpdir() });
    scope(() => store.write(0, start.run(ids, [2, CONTEXT])));
    const layers = blocks.flatMap((block) => block.trained);
    const gradients = (): number[] =>
      layers.flatMap((layer) => {
        const logScale = (layer.parameters[0] as Parameter).tensor;
        const values = scope(() => [...(logScale.grad as Tensor).toFloat32Array()]);
        logScale.clearGrad();
        return values;
      });
    const labels = BigInt64Array.from({ length: 2 * (CONTEXT - 1) }, (_, i) =>
      BigInt(ids[i + 1 + Math.floor(i / (CONTEXT - 1))] as number),
    );
    scope(() => {
      for (const layer of layers) layer.prepare();
      const output = forwardAll(blocks, store.read([0, 1]), (block, x) => block.forwardQuantized(x));
      const states = portOf(output, "x").narrow(1, 0, CONTEXT - 1);
      const logits = end.head(states.reshape([2 * (CONTEXT - 1), states.size(2)]));
      const loss = callTensor("aten::cross_entropy_loss", [logits, Tensor.from(labels).to(device), null, 2]);
      backward(loss.div(2 * CONTEXT));
      backwardThroughPaths(layers);
      for (const layer of layers) layer.release();
    });
    const kept = gradients();
    const network = { blocks, input: store, end };
    const adam = { step: () => {} } as unknown as Adam;
    const options = {
      epoch: 0,
      batch: 2,
      parts: new SequenceParts(2, () => {}),
      seed: 0,
      schedule: () => 1,
      watch: new FaultWatch(),
    };
    for (const _ of trainEndToEnd(network, adam, nextTokenLoss({ ids, sequences: 2, context: CONTEXT }), options));
    const size = Math.max(...kept.map(Math.abs));
    expect(size).toBeGreaterThan(0);
    gradients().forEach((gradient, i) => {
      expect(Math.abs(gradient - (kept[i] as number)) / size).toBeLessThan(1e-4);
    });
    for (const owned of [...blocks, store, start, end]) owned.dispose();
  });
});
