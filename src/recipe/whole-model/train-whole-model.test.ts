import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { clipsOf } from "../../quant/input/asymmetric-tensor.js";
import { type Addon, addon } from "../../tensor/engine/addon.js";
import { liveHandles } from "../../tensor/index.js";
import type { RecipeEvent, RecipeJob } from "../job/recipe-job.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import type { RecipeState } from "../state/saved-state.js";
import { type Delivered, type TinyNetwork, tinyJob, tinyNetwork } from "../testing/tiny-run.js";

const [BLOCKS, PARTS] = [2, 3];

let network: TinyNetwork;
const native: Addon = addon();
const original = { ...native };
beforeAll(async () => {
  network = await tinyNetwork(BLOCKS);
});
afterAll(() => network[Symbol.dispose]());
afterEach(() => void Object.assign(native, original));

interface Saved {
  readonly window: number;
  readonly state: ReadonlyMap<string, Uint8Array>;
}

interface Outcome {
  readonly saved: Saved;
  readonly delivered: Delivered;
  readonly events: readonly RecipeEvent[];
}

/** Trains and rounds; stops once `windows` are done, and continues what an earlier run saved. */
function run(
  options: RecipeOptionsInput["kurtosis"] = {},
  { windows = PARTS + BLOCKS, from, scheme = "W4A4" }: { windows?: number; from?: Outcome; scheme?: string } = {},
): Outcome {
  const kurtosis = { epochs: 3, batch: 2, parts: PARTS, rate: 5e-3, codes: "gptq", ...options } as const;
  let saved: Saved = { window: 0, state: new Map() };
  const state = from?.saved;
  const resume: RecipeState | null =
    state === undefined
      ? null
      : { window: state.window, read: (name, begin, end) => (state.state.get(name) as Uint8Array).slice(begin, end) };
  const { job, delivered } = tinyJob(network, "kurtosis", scheme, { kurtosis }, { resume });
  for (const kind of ["weights", "plain", "activations", "zeroPoints"] as const) {
    for (const [name, value] of from?.delivered[kind] ?? []) delivered[kind].set(name, value as never);
  }
  const sink: RecipeJob["sink"] = {
    ...job.sink,
    windowDone: ({ window }, tensors) => {
      const copies = tensors.map(({ name, pieces }) => [name, Buffer.concat([...pieces()])] as const);
      saved = { window: window + 1, state: new Map(copies) };
    },
  };
  const events: RecipeEvent[] = [];
  for (const event of runRecipe({ ...job, sink })) {
    events.push(event);
    if (event.event === "window-done" && event.window + 1 === windows) break;
  }
  return { saved, delivered, events };
}

function done({ events }: Outcome): readonly Extract<RecipeEvent, { event: "window-done" }>[] {
  return events.flatMap((event) => (event.event === "window-done" ? [event] : []));
}

const modules = (): readonly string[] =>
  network.network.units.flatMap(({ layers }) => layers.map(({ module }) => module));

describe("a recipe that trains the whole model first", () => {
  it("counts its parts as windows, hands over every weight and every range, and leaves no tensor behind", () => {
    const live = liveHandles();
    const { delivered, events, ...rest } = run();
    expect(liveHandles()).toBe(live);
    const windows = done({ delivered, events, ...rest });
    expect(windows.map(({ window }) => window)).toEqual([0, 1, 2, 3, 4]);
    expect(windows.every((event) => event.windows === PARTS + BLOCKS)).toBe(true);
    expect(windows.slice(0, PARTS).every(({ blocks }) => blocks[0] === 0 && blocks[1] === BLOCKS - 1)).toBe(true);
    expect(windows[2]?.lossAfter?.total).toBeLessThan((windows[0]?.lossBefore?.total ?? 0) - 0.2);
    expect([...delivered.plain.keys()].sort()).toEqual([...network.checkpoint.tensors.keys()].sort());
    for (const [name, bytes] of delivered.plain) {
      expect(bytes.byteLength).toBe(network.checkpoint.tensors.get(name)?.byteLength);
      expect([name, Buffer.compare(bytes, network.checkpoint.readSync(name))]).not.toEqual([name, 0]);
    }
    for (const module of modules()) {
      const scale = delivered.activations.get(module) ?? 0;
      const zeroPoint = delivered.zeroPoints.get(module) ?? -1;
      expect(scale).toBeGreaterThan(0);
      expect([Number.isInteger(zeroPoint), zeroPoint >= 0, zeroPoint <= 15]).toEqual([true, true, true]);
    }
    // The steps of all parts follow each other.
    const steps = events.flatMap((event) => (event.event === "step" ? [event.epoch] : []));
    expect(steps).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2]);
  });

  it("continues to the same bits from every window", () => {
    const whole = run();
    for (let windows = 1; windows < PARTS + BLOCKS; windows++) {
      const killed = run({}, { windows });
      const { delivered } = run({}, { from: killed });
      for (const kind of ["weights", "plain", "activations", "zeroPoints"] as const) {
        expect([windows, kind, [...delivered[kind]]]).toEqual([windows, kind, [...whole.delivered[kind]]]);
      }
    }
  });

  it("trains without quantized inputs where it is asked to, and measures their ranges afterwards", () => {
    const plain = run({ inputs: "float", weight: 0 });
    const quantized = run();
    expect(plain.delivered.activations.size).toBe(modules().length);
    expect(plain.delivered.plain.get("model.norm.weight")).not.toEqual(
      quantized.delivered.plain.get("model.norm.weight"),
    );
    // Without quantized inputs the scheme of the inputs changes nothing of the training.
    const other = run({ inputs: "float", weight: 0 }, { scheme: "W4A16" });
    expect(other.delivered.plain).toEqual(plain.delivered.plain);
    expect(other.delivered.activations.size).toBe(0);
  });

  it("begins ranges where it is told to, and moves them", () => {
    const { delivered } = run({ inputStart: 3, inputRate: 1e-2 });
    const highs = modules().map((module) => {
      const grid = { scale: delivered.activations.get(module) ?? 0, zeroPoint: delivered.zeroPoints.get(module) ?? 0 };
      return clipsOf(grid, 4).high;
    });
    // Nine steps of a hundredth, and half a step of the grid.
    for (const high of highs) expect(Math.abs(high - 3)).toBeLessThan(0.5);
    expect(new Set(highs).size).toBeGreaterThan(1);
    const fraction = run({ inputStart: 3, alignZero: false });
    expect([...fraction.delivered.zeroPoints.values()].some((zeroPoint) => !Number.isInteger(zeroPoint))).toBe(true);
  });

  it("rounds what was trained: by GPTQ, or to the nearest code", () => {
    const [gptq, nearest] = [run(), run({ codes: "nearest" })];
    expect(nearest.delivered.plain).toEqual(gptq.delivered.plain);
    const [module = ""] = modules();
    expect(nearest.delivered.weights.get(module)?.codes).not.toEqual(gptq.delivered.weights.get(module)?.codes);
  });

  it("ends with an error that names the rate where training never becomes finite", () => {
    const multiply = native.findOperator("aten::mul_", "Scalar")?.id ?? 0;
    native.backward = (outputs, gradients) => {
      if (gradients?.[0] !== undefined) original.callOperator(multiply, [gradients[0], Number.NaN], undefined, true);
      original.backward(outputs, gradients);
    };
    const live = liveHandles();
    const long = { epochs: 10, parts: 1 };
    expect(() => run(long)).toThrow(/never becomes finite.*--set kurtosis\.rate=/);
    expect(liveHandles()).toBe(live);
  });

  it("ends with an error where the trained model's loss is not finite, and says where it is no lower", () => {
    const live = liveHandles();
    // The last step of all breaks the weights, and no later one tells.
    expect(() => run({ rate: 1e38, epochs: 1, parts: 1, batch: 6, maxGradient: null })).toThrow(
      /not finite.*Next: give --set kurtosis\.rate=0\.0001 and --fresh/,
    );
    expect(liveHandles()).toBe(live);
    const { events } = run({ rate: 10, epochs: 1, parts: 1, weight: 0 });
    expect(events.flatMap((event) => (event.event === "warning" ? [event.message] : [])).at(-1)).toMatch(
      /^the training of the model did not lower the loss \(/,
    );
  });

  it("stops where poll throws, and leaves no tensor behind", () => {
    const live = liveHandles();
    for (const stop of [1, 3, 6, 12, 30]) {
      let polls = 0;
      const kurtosis = { epochs: 3, batch: 2, parts: PARTS };
      const { job } = tinyJob(
        network,
        "kurtosis",
        "W4A4",
        { kurtosis },
        {
          poll: () => {
            if (++polls === stop) throw new RangeError("stopped");
          },
        },
      );
      expect(() => [...runRecipe(job)]).toThrow("stopped");
      expect(liveHandles()).toBe(live);
    }
  });
});
