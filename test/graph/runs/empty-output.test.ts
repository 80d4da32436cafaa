import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { floats, writeGraph } from "../../../src/network/graph/testing/small-graph.js";
import { library } from "../../fixtures/in-process/library.js";
import { smallNetwork, writeArray } from "./small-network.js";

it("a network whose output holds no numbers is refused before it begins", async () => {
  using folder = temporaryFolder();
  const model = join(folder.path, "model.onnx");
  const nodes = smallNetwork.nodes.map((node) =>
    node.operator === "Gemm" ? { operator: "MatMul", inputs: ["flat", "none"], outputs: ["y"] } : node,
  );
  writeGraph(model, { ...smallNetwork, nodes, constants: { ...smallNetwork.constants, none: floats([], [8, 0]) } });
  const calibration = writeArray(folder.path, 12);
  const before = readdirSync(folder.path);
  const out = join(folder.path, "out");
  const run = async (): Promise<void> => {
    for await (const _ of library.quantize({ model, scheme: "W4A8", recipe: "gptq", calibration, out }));
  };
  await expect(run()).rejects.toThrow(/output "y" holds no numbers.*Next: export the network/);
  expect(readdirSync(folder.path)).toEqual(before);
});
