import { checkpointSource } from "../../owned-weights.js";
import type { Hooks, Ports } from "../../unit.js";
import { loadUnit } from "../../unit-weights.js";
import type { GraphNetwork } from "../graph-network.js";
import { GraphTensors } from "../graph-tensors.js";

/** All units one after the other, or the first `units`, on their own weights. */
export function throughUnits(network: GraphNetwork, x: Ports, hooks: Hooks = {}, units = network.units.length): Ports {
  using open = network.open({ device: "cpu", dtype: "float32", length: 1 });
  return network.units.slice(0, units).reduce((ports, unit) => {
    const weights = loadUnit(
      checkpointSource(new GraphTensors(network.cut), { device: "cpu", dtype: "float32" }),
      unit,
    );
    try {
      return open.run(unit, weights, ports, hooks);
    } finally {
      weights.dispose();
    }
  }, x);
}
