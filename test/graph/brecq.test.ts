import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { OptionError } from "../../src/errors.js";
import { someFloats, type TestGraph } from "../../src/network/graph/testing/small-graph.js";
import type { RecipeEvent } from "../../src/recipe/job/recipe-job.js";
import { runRecipe } from "../../src/recipe/job/run-recipe.js";
import type { RecipeOptionsInput } from "../../src/recipe/options/recipe-options.js";
import { tinyJob, tinyNetwork } from "../../src/recipe/testing/tiny-run.js";
import { liveHandles } from "../../src/tensor/index.js";
import { conv, op, runOnGraph, smallNetwork } from "./graph-job.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const brief = { epochs: 40, batch: 8 };

type Brecq = NonNullable<RecipeOptionsInput["brecq"]>;

function run(scheme: string, brecq: Brecq, graph: TestGraph = smallNetwork): ReturnType<typeof runOnGraph> {
  return runOnGraph(folder.path, graph, "brecq", scheme, { brecq: { ...brief, ...brecq } });
}

/** Error of what the network gives with the codes that it got, against the input that its last unit really has. */
const lossesOf = (events: readonly RecipeEvent[]): number[] =>
  events.filter((event) => event.event === "window-done").map(({ lossAfter }) => lossAfter?.total ?? Number.NaN);

/** A wider residual block, whose roundings have something to make up for each other. */
const residual: TestGraph = {
  nodes: [
    conv("x", "stem"),
    op("Relu", "a", "stem"),
    conv("a", "one"),
    op("Relu", "b", "one"),
    conv("b", "two"),
    op("Relu", "c", "two"),
    conv("c", "three"),
    op("Add", "sum", "three", "a"),
    op("Relu", "d", "sum"),
    op("GlobalAveragePool", "pool", "d"),
    op("Flatten", "flat", "pool"),
    op("Gemm", "y", "flat", "head.weight", "head.bias"),
  ],
  constants: {
    "stem.weight": someFloats([8, 2, 3, 3], 1),
    "one.weight": someFloats([8, 8, 3, 3], 2),
    "two.weight": someFloats([8, 8, 3, 3], 3),
    "three.weight": someFloats([8, 8, 3, 3], 4),
    "head.weight": someFloats([8, 5], 5),
    "head.bias": someFloats([5], 6),
  },
  inputs: { x: { shape: ["n", 2, 6, 6] } },
};

/** The same in a row: no value goes two ways. */
const chain: TestGraph = {
  ...residual,
  nodes: residual.nodes.map((node) => (node.operator === "Add" ? op("Relu", "sum", "three") : node)),
};

describe("BRECQ on a graph", () => {
  it("gives the first and the last layer 8 bits, and the last one's input, by what they read and make", () => {
    const { delivered } = run("W2A4", {});
    const bits = new Map([...delivered.weights].map(([name, weight]) => [name, weight.bits]));
    expect(Object.fromEntries(bits)).toEqual({ stem: 8, deep: 2, out: 2, head: 8 });
    expect([...delivered.activations.keys()].sort()).toEqual(["deep", "head", "out"]);
    expect(Object.fromEntries(delivered.inputBits)).toEqual({ head: 8 });
    const { delivered: plain } = run("W2A4", { ends: null });
    expect([...plain.weights.values()].map((weight) => weight.bits)).toEqual([2, 2, 2, 2]);
    expect(plain.inputBits.size).toBe(0);
  });

  it.each<readonly [string, Brecq]>([
    ["plain", {}],
    ["by squared gradients", { loss: "fisher", fisher: "squared" }],
    ["by damped gradients", { loss: "fisher", fisher: "damped" }],
    ["in code units", { rounding: "code", rate: 5e-3 }],
    ["in windows that overlap", { window: 2, overlap: 1, rounding: "code" }],
  ])("leaves less of the block's error than it began with: %s", (_, options) => {
    const live = liveHandles();
    const { events, delivered } = run("W2A16", options, residual);
    const done = events.filter((event) => event.event === "window-done");
    const block = done.find(({ layers }) => layers.some(({ name }) => name === "two"));
    expect(block?.lossAfter?.total).toBeLessThan(0.8 * (block?.lossBefore?.total ?? 0));
    expect(delivered.weights.size).toBe(5);
    expect(liveHandles()).toBe(live);
  });

  it("loses less by blocks than by layers, and less by layers than rounded to nearest", () => {
    const losses = [{}, { unit: "layer" as const }, { epochs: 0 }].map((options) => {
      const { events } = run("W2A16", { epochs: 150, ends: 8, ...options }, residual);
      return lossesOf(events).at(-1) as number;
    });
    const [block, layer, nearest] = losses as [number, number, number];
    expect(block).toBeLessThan(layer);
    expect(layer).toBeLessThan(nearest);
  });

  it("is the same by layers where there are no blocks", () => {
    const [blocks, layers] = (["block", "layer"] as const).map((unit) => run("W3A16", { unit }, chain).delivered);
    for (const [name, weight] of blocks?.weights ?? []) {
      expect(weight.codes).toEqual(layers?.weights.get(name)?.codes);
    }
  });

  it("cuts no decoder block into layers, and says so", async () => {
    using tiny = await tinyNetwork(1);
    const { job } = tinyJob(tiny, "brecq", "W4A16", { brecq: { ...brief, unit: "layer" } });
    expect(() => [...runRecipe(job)]).toThrow(OptionError);
  });

  it("takes decoders, block by block", async () => {
    const live = liveHandles();
    using tiny = await tinyNetwork(2);
    const { job, delivered } = tinyJob(tiny, "brecq", "W2A16", { brecq: { epochs: 30, batch: 6, loss: "fisher" } });
    const done = [...runRecipe(job)].filter((event) => event.event === "window-done");
    for (const { lossBefore, lossAfter } of done) expect(lossAfter?.total).toBeLessThan(lossBefore?.total ?? 0);
    expect(delivered.weights.size).toBe(14);
    expect(liveHandles()).toBe(live);
  });
});

describe("the steps of inputs", () => {
  it("are learnt after the weights, which stay as they would be without", () => {
    const after = { order: "after" as const, epochs: 30, rate: 4e-4, unit: "absolute" as const, power: 2.4 };
    const { delivered: float } = run("W4A16", {}, residual);
    const { delivered, events } = run("W4A4", { inputs: after }, residual);
    for (const [name, weight] of delivered.weights) expect(weight.codes).toEqual(float.weights.get(name)?.codes);
    const { delivered: measured } = run("W4A4", { inputs: { ...after, epochs: 0 } }, residual);
    const moved = [...delivered.activations].filter(([name, step]) => measured.activations.get(name) !== step);
    expect(moved.map(([name]) => name).sort()).toEqual(["head", "one", "three", "two"]);
    expect(delivered.zeroPoints).toEqual(measured.zeroPoints);
    expect(events.filter((event) => event.event === "warning")).toEqual([]);
  });

  it("stay as they were measured where they are not to be learnt", () => {
    const stepOf = (epochs: number, learnClip: boolean): number | undefined => {
      const options = { brecq: { ...brief, epochs }, activation: { learnClip } };
      return runOnGraph(folder.path, residual, "brecq", "W4A4", options).delivered.activations.get("one");
    };
    const measured = stepOf(0, true);
    expect(stepOf(4, false)).toBe(measured);
    expect(stepOf(4, true)).not.toBe(measured);
  });

  it("are learnt together with the roundings, which make up for them", () => {
    const inputs = { order: "together" as const, rate: 1e-2 };
    const { delivered } = run("W4A4", { inputs }, residual);
    const { delivered: float } = run("W4A16", {}, residual);
    const changed = [...delivered.weights].some(([name, weight]) =>
      weight.codes.some((code, i) => code !== float.weights.get(name)?.codes[i]),
    );
    expect(changed).toBe(true);
    expect([...delivered.activations.keys()].sort()).toEqual(["head", "one", "three", "two"]);
  });
});
