import { portOf } from "../../calibration/port-store.js";
import { noGrad, scope, Tensor } from "../../tensor/index.js";
import { applyLinear } from "../apply-linear.js";
import { normalise } from "../decoder/block/normalise.js";
import type { Network, NetworkEnd, NetworkStart, OpenNetwork } from "../network.js";
import { loadAll } from "../owned-weights.js";
import type { LayerPlan, Ports, UnitPlan } from "../unit.js";
import { normWeights, type UnitWeights, unitTensors } from "../unit-weights.js";

const [WIDTH, INNER, TIME, CLASSES] = [16, 24, 8, 20];
const NORM = { kind: "rms", eps: 1e-6 } as const;

type Apply = (layer: string, input: Tensor) => Tensor;

/** What the units compute; each gives the ports that it writes. */
const forwards: readonly ((apply: Apply, weights: UnitWeights, x: Ports) => Ports)[] = [
  (apply, weights, ports) => {
    const x = portOf(ports, "x");
    const after = x.add(apply("down", apply("up", normalise(x, normWeights(weights, "norm"), NORM)).relu()));
    return { x: after, skip: after.mul(0.5) };
  },
  (apply, _weights, ports) => {
    const x = portOf(ports, "x");
    const shift = apply("time", portOf(ports, "time")).unsqueeze(1);
    // The next unit reads the skip connection as well.
    const input = x.add(shift).add(portOf(ports, "skip"));
    return { x: x.add(apply("middle", input.relu())) };
  },
  (apply, _weights, ports) => ({ x: apply("merge", Tensor.cat([portOf(ports, "x"), portOf(ports, "skip")], 2)) }),
];

const units: readonly UnitPlan[] = [
  {
    index: 0,
    layers: [layer("up", "0.up", INNER, WIDTH), layer("down", "0.down", WIDTH, INNER, "x")],
    norms: [{ name: "norm", module: "0.norm", gain: "w", bias: false, width: WIDTH }],
    sites: [
      { producer: { kind: "norm", name: "norm" }, consumers: ["up"], passes: { kind: "linear" } },
      { producer: { kind: "layer", name: "up" }, consumers: ["down"], passes: { kind: "positive" } },
    ],
    writes: ["x", "skip"],
  },
  {
    index: 1,
    layers: [layer("time", "1.time", WIDTH, TIME), layer("middle", "1.middle", WIDTH, WIDTH, "x")],
    norms: [],
    sites: [
      { producer: null, consumers: ["time"], passes: { kind: "none" } },
      { producer: null, consumers: ["middle"], passes: { kind: "none" } },
    ],
    writes: ["x"],
  },
  {
    index: 2,
    layers: [layer("merge", "2.merge", WIDTH, 2 * WIDTH)],
    norms: [],
    sites: [{ producer: null, consumers: ["merge"], passes: { kind: "none" } }],
    writes: ["x"],
  },
];

function layer(name: string, module: string, rows: number, columns: number, addsTo: string | null = null): LayerPlan {
  return { name, module, rows, columns, bias: false, addsTo };
}

/**
 * A small network that is no decoder: its units differ in their Linears, and hand on a skip connection and a time embedding
 * beside the hidden states. Shapes by full name are those of `skipTensors`.
 */
export const skipNetwork: Network = {
  units,
  width: WIDTH,
  ports: (length) => ({ x: [length, WIDTH], skip: [length, WIDTH], time: [TIME] }),
  open: (): OpenNetwork => ({
    run: (unit, weights, x, hooks) => {
      const forward = forwards[unit.index];
      if (forward === undefined) throw new RangeError(`no unit ${unit.index}`);
      return { ...x, ...forward((name, input) => applyLinear(weights, hooks ?? {}, name, input), weights, x) };
    },
    [Symbol.dispose]: () => {},
  }),
  begin: (source): NetworkStart => {
    const tables = loadAll(source, (load) => ({
      tokens: load("tokens.weight", [CLASSES, WIDTH]),
      times: load("times.weight", [CLASSES, TIME]),
    }));
    return {
      run: (ids, [sequences, length]) =>
        noGrad(() =>
          scope(() => {
            const rows = Tensor.from(ids, [sequences, length]).to("int64").to(tables.tokens.device);
            const x = tables.tokens.embedding(rows);
            return { x, skip: x.mul(0), time: tables.times.embedding(rows.select(1, 0)) };
          }),
        ),
      dispose: () => tables.dispose(),
    };
  },
  end: (source): NetworkEnd => {
    const { head, dispose } = loadAll(source, (load) => ({ head: load("head.weight", [CLASSES, WIDTH]) }));
    return { port: "x", head: (states) => states.linear(head), dispose };
  },
};

/** Every tensor of it. */
export const skipTensors: ReadonlyMap<string, readonly number[]> = new Map<string, readonly number[]>([
  ["tokens.weight", [CLASSES, WIDTH]],
  ["times.weight", [CLASSES, TIME]],
  ["head.weight", [CLASSES, WIDTH]],
  ...units.flatMap((unit) => [...unitTensors(unit)]),
]);

/** Ids that it knows. */
export function skipIds(sequences: number, length: number): Int32Array {
  return Int32Array.from({ length: sequences * length }, (_, i) => (i * i * 7 + i * 3 + 1) % CLASSES);
}
