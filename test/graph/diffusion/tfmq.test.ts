import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ImageNoise } from "../../../src/calibration/diffusion/image-noise.js";
import { sample } from "../../../src/calibration/diffusion/sample.js";
import type { Predict } from "../../../src/calibration/diffusion/trajectory.js";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { CalibrationError, OptionError } from "../../../src/errors.js";
import { checkpointSource, GraphTensors, loadUnit, type Ports } from "../../../src/network/index.js";
import { runRecipe } from "../../../src/recipe/job/run-recipe.js";
import type { RecipeOptionsInput } from "../../../src/recipe/options/recipe-options.js";
import { tinyJob, tinyNetwork } from "../../../src/recipe/testing/tiny-run.js";
import { liveHandles, noGrad, scope, Tensor } from "../../../src/tensor/index.js";
import { openSmallDiffusion, predictBy, quantizeSmallDiffusion, type SmallDiffusion } from "./small-diffusion.js";

const folder = temporaryFolder();
let net: SmallDiffusion;
beforeAll(() => {
  net = openSmallDiffusion(folder.path);
});
afterAll(() => {
  net[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const none = { finish: "none" } as const;
const short: RecipeOptionsInput = { ...none, tfmq: { epochs: 8, temporalSteps: 40, batch: 10 } };

function images(sampler: SmallDiffusion["sampler"], predict: Predict): Float32Array {
  const numbers = [0, 1, 2, 3];
  const way = sample(sampler, new ImageNoise(9, numbers, 72));
  let turn = way.next();
  while (turn.done !== true) turn = way.next(Float32Array.from(predict(turn.value.x, turn.value.time, numbers)));
  return turn.value;
}

function meanSquare(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - (b[i] ?? 0)) ** 2, 0) / a.length;
}

describe("the temporal block of a diffusion network", () => {
  const [unit] = [0];

  /** What the first unit writes for images at a step. */
  function temporal(x: Float32Array, time: number): Record<string, number[]> {
    const { network } = net;
    const plan = network.units[unit];
    if (plan === undefined) throw new TypeError("no unit");
    return noGrad(() =>
      scope(() => {
        using open = network.open({ device: "cpu", dtype: "float32", length: 1 });
        const at = { device: "cpu", dtype: "float32" } as const;
        const weights = loadUnit(checkpointSource(new GraphTensors(network.cut), at), plan);
        const count = x.length / 72;
        const ports = {
          x: Tensor.from(x, [count, 2, 6, 6]),
          t: Tensor.from(Float32Array.from({ length: count }, () => time)),
        };
        const out = open.run(plan, weights, ports);
        weights.dispose();
        return Object.fromEntries(plan.writes.map((name) => [name, [...(out[name] as Tensor).toFloat32Array()]]));
      }),
    );
  }

  it("is a unit whose outputs are the projections, and has the same ones for every image", () => {
    expect(net.network.cut.units.map(({ kind }) => kind)[unit]).toBe("condition");
    expect(net.network.units[unit]?.writes).toEqual(["p1", "p2", "p3"]);
    expect(net.network.units[unit]?.layers.map(({ module }) => module)).toEqual(["embed1", "embed2", "p1", "p2", "p3"]);
    const x = Float32Array.from({ length: 3 * 72 }, (_, i) => Math.sin(i) * 5);
    for (const values of Object.values(temporal(x, 600))) {
      for (let i = 0; i < 4; i++) expect([values[4 + i], values[8 + i]]).toEqual([values[i], values[i]]);
    }
    expect(temporal(x, 200)).not.toEqual(temporal(x, 600));
  });

  it("can be replaced by a table with a row for each step: the images stay the same bits", () => {
    const { network, sampler, predict } = net;
    const wanted = images(sampler, predict);
    const table = new Map(sampler.steps.map(({ time }) => [time, temporal(new Float32Array(72), time)]));
    let lookups = 0;
    const fromTable = (ports: Ports): Ports => {
      using open = network.open({ device: "cpu", dtype: "float32", length: 1 });
      const time = Number((ports["t"] as Tensor).toArray()[0]);
      const count = (ports["x"] as Tensor).size(0);
      const rows = Object.entries(table.get(time) ?? {}).map(([name, row]) => {
        lookups++;
        const values = Float32Array.from({ length: 4 * count }, (_, i) => row[i % 4] ?? 0);
        return [name, Tensor.from(values, [count, 4, 1, 1])] as const;
      });
      const at = { device: "cpu", dtype: "float32" } as const;
      return network.units.slice(1).reduce<Ports>(
        (x, plan) => {
          const weights = loadUnit(checkpointSource(new GraphTensors(network.cut), at), plan);
          const out = open.run(plan, weights, x);
          weights.dispose();
          return out;
        },
        { ...ports, ...Object.fromEntries(rows) },
      );
    };
    expect(images(sampler, predictBy(network, fromTable))).toEqual(wanted);
    expect(lookups).toBe(3 * sampler.steps.length);
  });

  it("goes with the blocks that read it where the cut says so", () => {
    using apart = openSmallDiffusion(folder.path, { readers: true });
    expect(apart.network.cut.units.map(({ layers }) => layers.map(({ plan }) => plan.module))).toEqual([
      ["embed1", "embed2"],
      ["in"],
      ["p1", "a1", "a4"],
      ["p2", "down", "b1", "b4"],
      ["p3", "c1", "c4", "short"],
      ["y"],
    ]);
    expect(images(apart.sampler, apart.predict)).toEqual(images(net.sampler, net.predict));
  });
});

describe("recipe tfmq", () => {
  it("leaves the first, the last, shrinking and passing layers in full precision, and says why", () => {
    const layers = net.network.units.flatMap((unit) => unit.layers);
    const kept = layers.flatMap(({ module, protectedAs }) =>
      protectedAs === undefined ? [] : [[module, protectedAs]],
    );
    expect(Object.fromEntries(kept)).toEqual({
      embed1: "first layer of a time embedding",
      in: "first layer",
      down: "downsampling convolution",
      short: "shortcut beside a block",
      y: "last layer",
    });
    const { delivered } = quantizeSmallDiffusion(net, "tfmq", "W4A8", {
      ...none,
      tfmq: { epochs: 1, temporalSteps: 1 },
    });
    expect([...delivered.weights.keys()].sort()).toEqual([
      "a1",
      "a4",
      "b1",
      "b4",
      "c1",
      "c4",
      "embed2",
      "p1",
      "p2",
      "p3",
    ]);
    expect([...delivered.inputGrids.keys()].sort()).toEqual([...delivered.weights.keys()].sort());
    const named = {
      ...none,
      overrides: [{ pattern: "short", bits: 8 as const }],
      tfmq: { epochs: 1, temporalSteps: 1 },
    };
    expect([...quantizeSmallDiffusion(net, "tfmq", "W4A8", named).delivered.weights.keys()]).toContain("short");
  });

  it("trains the temporal block as one window, apart from all others, and every window loses less", () => {
    const live = liveHandles();
    const { events } = quantizeSmallDiffusion(net, "tfmq", "W3A8", short);
    expect(events.map(({ layers }) => layers.map(({ name }) => name))).toEqual([
      ["embed2", "p1", "p2", "p3"],
      [],
      ["a1", "a4"],
      ["b1", "b4"],
      ["c1", "c4"],
      [],
    ]);
    for (const { lossBefore, lossAfter, layers } of events) {
      if (layers.length > 0) expect(lossAfter?.total).toBeLessThan(lossBefore?.total ?? 0);
    }
    expect(liveHandles()).toBe(live);
  });

  it("leaves the projections to the blocks that read them where the temporal block is not reconstructed on its own", () => {
    const { events } = quantizeSmallDiffusion(net, "tfmq", "W4A16", { ...none, tfmq: { ...short.tfmq, tiar: false } });
    expect(events.map(({ layers }) => layers.map(({ name }) => name)).filter((names) => names.length > 0)).toEqual([
      ["embed2"],
      ["p1", "a1", "a4"],
      ["p2", "b1", "b4"],
      ["p3", "c1", "c4"],
    ]);
  });

  it("delivers ranges for every step of the sampler, which its images stay closer with", () => {
    const { sampler, predict } = net;
    const wanted = images(sampler, predict);
    const error = (options: RecipeOptionsInput): number => {
      const { simulated } = quantizeSmallDiffusion(net, "tfmq", "W8A4", options);
      return simulated((predictQuantized) => meanSquare(images(sampler, predictQuantized), wanted));
    };
    const { delivered } = quantizeSmallDiffusion(net, "tfmq", "W8A8", {
      ...none,
      tfmq: { epochs: 1, temporalSteps: 1 },
    });
    for (const grid of delivered.inputGrids.values()) {
      expect([grid.input, grid.keys, grid.bits, grid.unknown]).toEqual(["t", [0, 200, 400, 600, 800], 8, "error"]);
      expect(grid.zeroPoints.every((z) => Number.isInteger(z) && z >= 0 && z < 256)).toBe(true);
      expect(new Set(grid.scales).size).toBeGreaterThan(1);
    }
    expect(delivered.activations.size).toBe(0);
    expect(error(short)).toBeLessThan(error({ ...short, tfmq: { ...short.tfmq, fsc: false } }));
  });

  it("gives with a single step what one range for all gives, to the bit", () => {
    using single = openSmallDiffusion(folder.path, { steps: 1 });
    const keyed = quantizeSmallDiffusion(single, "tfmq", "W4A8", short).delivered;
    const plain = quantizeSmallDiffusion(single, "tfmq", "W4A8", {
      ...short,
      tfmq: { ...short.tfmq, fsc: false },
    }).delivered;
    expect(keyed.inputGrids.size).toBe(10);
    for (const [name, { keys, scales, zeroPoints }] of keyed.inputGrids) {
      expect([keys.length, scales, zeroPoints]).toEqual([
        1,
        [plain.activations.get(name)],
        [plain.zeroPoints.get(name)],
      ]);
    }
    for (const [name, weight] of keyed.weights) expect(weight).toEqual(plain.weights.get(name));
  });

  it("refuses steps that it has no ranges for when the result runs, and takes the nearest where asked", () => {
    const at = (options: RecipeOptionsInput): Float32Array =>
      quantizeSmallDiffusion(net, "tfmq", "W8A8", options).simulated((predict) =>
        Float32Array.from(predict(new Float32Array(72), 399, [0])),
      );
    expect(() => at({ ...none, tfmq: { epochs: 1, temporalSteps: 1 } })).toThrow(CalibrationError);
    expect(() => at({ ...none, tfmq: { epochs: 1, temporalSteps: 1 } })).toThrow(
      /399 is no step.*Next: sample with that sampler/,
    );
    const near = at({ ...none, tfmq: { epochs: 1, temporalSteps: 1, unknownStep: "nearest" } });
    expect(near.every(Number.isFinite)).toBe(true);
  });

  it("is the same with the same seed", () => {
    const codes = (): unknown => [...quantizeSmallDiffusion(net, "tfmq", "W4A8", short).delivered.weights];
    expect(codes()).toEqual(codes());
  });

  it("leaves no tensor behind where it is stopped", () => {
    const live = liveHandles();
    for (const last of [3, 11, 40, 75]) {
      let polls = 0;
      const poll = (): void => {
        if (++polls > last) throw new RangeError("stopped");
      };
      expect(() => quantizeSmallDiffusion(net, "tfmq", "W4A8", short, { poll })).toThrow("stopped");
      expect([last, liveHandles()]).toEqual([last, live]);
    }
  });

  it("refuses networks without time steps, and options that do not go with it", async () => {
    using llama = await tinyNetwork(1);
    const run = (options: RecipeOptionsInput): unknown => [...runRecipe(tinyJob(llama, "tfmq", "W4A8", options).job)];
    expect(() => run({})).toThrow(OptionError);
    expect(() => run({})).toThrow(/network of a diffusion model.*--sampler ddim --steps 50/);
    const small = (options: RecipeOptionsInput): unknown => quantizeSmallDiffusion(net, "tfmq", "W4A8", options);
    expect(() => small({ finish: "scales" })).toThrow(/--finish none/);
  });
});
