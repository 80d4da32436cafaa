import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { createPortStore } from "../../src/calibration/port-store.js";
import { OnnxContent } from "../../src/checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { writeGraph } from "../../src/network/graph/testing/small-graph.js";
import { GraphNetwork, GraphTensors, readGraph } from "../../src/network/index.js";
import { roundToNearest } from "../../src/quant/grid/grid.js";
import { searchRange } from "../../src/quant/grid/range.js";
import { fisherWeights } from "../../src/recipe/graph/fisher-weights.js";
import { UnitSource } from "../../src/recipe/state/unit-source.js";
import { tinyJob } from "../../src/recipe/testing/tiny-run.js";
import { SequenceParts } from "../../src/reconstruct/sequence-parts.js";
import { liveHandles, noGrad, scope, type Tensor } from "../../src/tensor/index.js";
import { testDevice } from "../../src/tensor/testing/test-device.js";
import { smallExamples, smallNetwork } from "./graph-job.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const COUNT = 6;

describe("weights by gradients of the output", () => {
  // Of the network's last unit they are known: the divergence falls along the difference of both probabilities.
  it.each(["squared", "damped"] as const)("are those of KL(p || p') in a unit's output: %s", (kind) => {
    const live = liveHandles();
    const file = join(folder.path, "model.onnx");
    writeGraph(file, smallNetwork);
    {
      using content = OnnxContent.open(file);
      const network = GraphNetwork.create(readGraph(content), {}, smallExamples(COUNT));
      const tokens = { ids: Int32Array.from({ length: COUNT }, (_, i) => i), sequences: COUNT, context: 1 };
      const place = { checkpoint: new GraphTensors(network.cut), network, folder: folder.path };
      const { job } = tinyJob(place, "brecq", "W2A16", {}, { tokens, device: testDevice });
      const parts = new SequenceParts(4, () => {});
      using source = new UnitSource(job, 1);
      scope(() => {
        const last = network.units.length - 1;
        const units = network.units.map((_, i) => source.open(i, false));
        const block = units[last];
        if (block === undefined) throw new TypeError("the network has units");
        let x: Readonly<Record<string, Tensor>> = smallExamples(COUNT).read([0, 1, 2, 3, 4, 5]);
        for (const unit of units.slice(0, last)) x = noGrad(() => unit.forwardFull(x));
        const layer = block.layers.get("head");
        layer?.harden(
          scope(() =>
            roundToNearest(block.exactWeight("head"), searchRange(block.exactWeight("head"), layer.scheme, "head")),
          ),
        );
        const [full, quantized] = noGrad(() => [block.forwardFull(x)["y"], block.forwardQuantized(x)["y"]]) as [
          Tensor,
          Tensor,
        ];
        const input = createPortStore({ sequences: COUNT, tokens: 1, ports: network.ports(1, last) }, "host", job);
        input.write(0, x);
        const target = createPortStore({ sequences: COUNT, tokens: 1, ports: { y: [5] } }, "host", job);
        target.write(0, { y: full });
        const work = {
          job,
          parts,
          warnings: [],
          index: last,
          windows: last + 1,
          leaving: 1,
          whileDeviceWorks: () => {},
        };
        const store = fisherWeights({ ...work, blocks: [block], input, fullInput: null, targets: [target] }, kind);
        const found = store.read([0, 1, 2, 3, 4, 5])["y"]?.toFloat32Array() ?? [];
        const sizes = [4, 4, 4, 4, 2, 2];
        const gradient = quantized
          .softmax(-1)
          .sub(full.softmax(-1))
          .toFloat32Array()
          .map((value, i) => value / (sizes[Math.floor(i / 5)] as number));
        const mean = gradient.reduce((sum, g) => sum + g * g, 0) / gradient.length;
        gradient.forEach((g, i) => {
          const expected = kind === "squared" ? (g * g) / mean : (Math.abs(g) + 1) ** 2;
          expect(found[i]).toBeCloseTo(expected, 4);
        });
        expect(mean).toBeGreaterThan(0);
        for (const each of [store, input, target, ...units]) each.dispose();
      });
    }
    expect(liveHandles()).toBe(live);
  });
});
