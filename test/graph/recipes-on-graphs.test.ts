import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import type { RecipeName } from "../../src/recipe/job/recipe-names.js";
import type { RecipeOptionsInput } from "../../src/recipe/options/recipe-options.js";
import { liveHandles } from "../../src/tensor/index.js";
import { runOnGraph, smallNetwork } from "./graph-job.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

function run(
  recipe: RecipeName,
  scheme: string,
  options: RecipeOptionsInput,
): { names: string[]; less: number; errors: number[] } {
  const { delivered, events } = runOnGraph(folder.path, smallNetwork, recipe, scheme, options);
  const done = events.filter((event) => event.event === "window-done");
  const less = done.filter(({ lossBefore, lossAfter }) => (lossAfter?.total ?? 0) < (lossBefore?.total ?? 0)).length;
  return {
    names: [...delivered.weights.keys()],
    less,
    errors: done.flatMap(({ layers }) => layers.map(({ relativeError }) => relativeError)),
  };
}

describe("an ONNX graph: convolutions and matrices, in units of several shapes", () => {
  const window = { size: 2, overlap: 1, epochs: 6, batch: 4, secondBranch: false };

  it.each<readonly [RecipeName, string, RecipeOptionsInput, number]>([
    ["rtn", "W8A16", {}, 0],
    ["gptq", "W3A16", {}, 0],
    ["cbq", "W3A16", { window, rounding: { start: "gptq" } }, 0],
    ["cbq", "W3A16", { window, rounding: { kind: "adaround" } }, 2],
    ["cbq", "W3A16", { window, rounding: { kind: "code", start: "rtn" } }, 2],
    ["efficient-qat", "W3A16", { blockAp: { epochs: 6, batch: 4 } }, 3],
  ])("is quantized by %s %s %o, and what is trained loses less", (recipe, scheme, options, training) => {
    const live = liveHandles();
    const { names, less, errors } = run(recipe, scheme, options);
    expect(names.sort()).toEqual(["deep", "head", "out", "stem"].sort());
    expect(less).toBeGreaterThanOrEqual(training);
    expect(errors).toHaveLength(names.length);
    for (const error of errors) expect(error).toBeLessThan(scheme === "W8A16" ? 1e-3 : Number.POSITIVE_INFINITY);
    expect(Math.max(...errors)).toBeGreaterThan(0);
    expect(liveHandles()).toBe(live);
  });

  // The head reads means over 36 positions, which hardly differ, with weights that come to nearly nothing in sum: without its bias its
  // output is small beside what any rounding to nearest changes. Roundings have to learn to cancel, which takes more than a few steps.
  it("makes up in the head for what rounding to nearest loses all of", () => {
    const adaRound = { window: { ...window, epochs: 200 }, rounding: { kind: "adaround" as const } };
    const [nearest, columns, learnt] = (["rtn", "gptq", "cbq"] as const).map((recipe) => {
      const { events } = runOnGraph(folder.path, smallNetwork, recipe, "W3A16", recipe === "cbq" ? adaRound : {});
      const layers = events.flatMap((event) => (event.event === "window-done" ? event.layers : []));
      return layers.find(({ name }) => name === "head")?.relativeError ?? Number.NaN;
    });
    expect(nearest).toBeGreaterThan(1);
    expect(columns).toBeLessThan(0.01);
    expect(learnt).toBeLessThan(0.4);
  });
});
