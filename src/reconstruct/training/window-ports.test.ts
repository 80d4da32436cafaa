import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { someFloats, someNumbers, type TestGraph, writeGraph } from "../../network/graph/testing/small-graph.js";
import {
  checkpointSource,
  GraphNetwork,
  GraphTensors,
  loadUnit,
  type Ports,
  readGraph,
  type UnitPlan,
} from "../../network/index.js";
import { noGrad, scope, Tensor } from "../../tensor/index.js";
import { neededPorts, writtenPorts } from "./window-ports.js";

/** `skip` is on its way from the first layer to the last while the two residual blocks between them are computed; the time goes to all. */
const net: TestGraph = {
  nodes: [
    { operator: "Gemm", inputs: ["time", "t.weight"], outputs: ["embedding"] },
    { operator: "Gemm", inputs: ["x", "a.weight"], outputs: ["skip"] },
    { operator: "Gemm", inputs: ["skip", "b.weight"], outputs: ["b"] },
    { operator: "Add", inputs: ["skip", "b"], outputs: ["one"] },
    { operator: "Gemm", inputs: ["one", "c.weight"], outputs: ["c"] },
    { operator: "Add", inputs: ["one", "c"], outputs: ["two"] },
    { operator: "Add", inputs: ["two", "skip"], outputs: ["d"] },
    { operator: "Add", inputs: ["d", "embedding"], outputs: ["e"] },
    { operator: "Gemm", inputs: ["e", "f.weight"], outputs: ["y"] },
  ],
  constants: {
    "t.weight": someFloats([1, 4], 1),
    ...Object.fromEntries(["a", "b", "c", "f"].map((name, i) => [`${name}.weight`, someFloats([4, 4], 2 + i)])),
  },
  inputs: { x: { shape: ["n", 4] }, time: { shape: ["n", 1] } },
};

function use(body: (network: GraphNetwork) => void): void {
  using folder = temporaryFolder();
  const file = join(folder.path, "model.onnx");
  writeGraph(file, net);
  using content = OnnxContent.open(file);
  body(GraphNetwork.create(readGraph(content)));
}

const windowOf = (network: GraphNetwork, first: number, last: number): { plan: UnitPlan }[] =>
  network.units.slice(first, last + 1).map((plan) => ({ plan }));

describe("ports of a window", () => {
  it("are those that its units read and do not make, and conditions, which ranges are looked up by", () => {
    use((network) => {
      const unit = (port: string): number => network.units.findIndex(({ writes }) => writes.includes(port));
      const names = (first: number, last: number): string[] =>
        [...(neededPorts(windowOf(network, first, last)) ?? [])].sort();
      const [block, last] = [unit("one"), unit("y")];
      expect(names(block, block)).toEqual(["skip", "time"]);
      expect(Object.keys(network.ports(1, block)).sort()).toEqual(["embedding", "skip", "time"]);
      expect(names(unit("skip"), block)).toEqual(["time", "x"]);
      expect(names(block + 1, block + 1)).not.toContain("x");
      expect(names(block + 1, last)).toEqual(["embedding", "one", "skip", "time"]);
      expect([...writtenPorts(windowOf(network, unit("skip"), block))].sort()).toEqual(["one", "skip"]);
    });
  });

  it("are enough to compute what each unit writes, to the same bits", () => {
    use((network) => {
      using open = network.open({ device: "cpu", dtype: "float32", length: 1 });
      const source = checkpointSource(new GraphTensors(network.cut), { device: "cpu", dtype: "float32" });
      noGrad(() =>
        scope(() => {
          let ports: Ports = {
            x: Tensor.from(Float32Array.from(someNumbers(8)), [2, 4]),
            time: Tensor.from(Float32Array.of(1, 2), [2, 1]),
          };
          for (const unit of network.units) {
            const needed = neededPorts([{ plan: unit }]);
            const some = Object.fromEntries(Object.entries(ports).filter(([name]) => needed?.has(name)));
            const weights = loadUnit(source, unit);
            const [all, few] = [ports, some].map((given) => open.run(unit, weights, given)) as [Ports, Ports];
            for (const name of unit.writes) expect(few[name]?.toArray()).toEqual(all[name]?.toArray());
            weights.dispose();
            ports = all;
          }
        }),
      );
    });
  });

  it("are all where a unit does not say what it reads, as in a decoder", () => {
    const plan: UnitPlan = { index: 0, layers: [], norms: [], sites: [], writes: ["x"] };
    expect(neededPorts([{ plan }])).toBeUndefined();
  });
});
