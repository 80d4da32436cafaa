import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { CrossblockError } from "../../src/errors.js";
import { someFloats } from "../../src/network/graph/testing/small-graph.js";
import type { RecipeName } from "../../src/recipe/job/recipe-names.js";
import type { RecipeOptionsInput } from "../../src/recipe/options/recipe-options.js";
import { liveHandles } from "../../src/tensor/index.js";
import { conv, op, runOnGraph, smallNetwork } from "./graph-job.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const window = { size: 2, overlap: 1, epochs: 4, batch: 4, secondBranch: false };

function errorsOf(recipe: RecipeName, scheme: string, options: RecipeOptionsInput = {}): Map<string, number> {
  const { events } = runOnGraph(folder.path, smallNetwork, recipe, scheme, options);
  const done = events.filter((event) => event.event === "window-done");
  return new Map(done.flatMap(({ layers }) => layers.map(({ name, relativeError }) => [name, relativeError] as const)));
}

describe("static grids of a graph's tensors", () => {
  it.each<readonly [RecipeName, RecipeOptionsInput]>([
    ["rtn", {}],
    ["gptq", {}],
    ["cbq", { window }],
    ["efficient-qat", { blockAp: { epochs: 2, batch: 4 } }],
  ])("come with the result of %s, one a layer, and none for what reads the image", (recipe, options) => {
    const live = liveHandles();
    const { delivered } = runOnGraph(folder.path, smallNetwork, recipe, "W8A8", options);
    expect([...delivered.activations.keys()].sort()).toEqual(["deep", "head", "out"]);
    for (const [name, scale] of delivered.activations) {
      expect(scale).toBeGreaterThan(0);
      // Behind a ReLU nothing lies below zero.
      expect([name, delivered.zeroPoints.get(name)]).toEqual([name, 0]);
    }
    expect(liveHandles()).toBe(live);
  });

  it("are part of what the quantized network computes", () => {
    const [none, eight, four] = ["W8A16", "W8A8", "W8A4"].map((scheme) => errorsOf("rtn", scheme));
    for (const name of ["deep", "out", "head"]) {
      expect(eight?.get(name)).toBeGreaterThan(none?.get(name) as number);
      expect(four?.get(name)).toBeGreaterThan(10 * (eight?.get(name) as number));
      expect(four?.get(name)).toBeLessThan(0.25);
    }
    expect(eight?.get("stem")).toBe(none?.get("stem"));
  });

  it("have the bits that an override gives them, the image's too where it asks for them", () => {
    const overrides = [
      { pattern: "head", inputBits: 8 as const },
      { pattern: "deep", inputBits: 16 as const },
      { pattern: "stem", inputBits: 8 as const },
    ];
    const { delivered } = runOnGraph(folder.path, smallNetwork, "rtn", "W8A4", { overrides });
    expect([...delivered.activations.keys()].sort()).toEqual(["head", "out", "stem"]);
    expect([...delivered.inputBits]).toEqual([
      ["stem", 8],
      ["head", 8],
    ]);
    // The image's numbers lie around zero.
    expect(delivered.zeroPoints.get("stem")).toBeGreaterThan(100);
  });

  it("are one for all layers that read the same tensor", () => {
    const shortcut = {
      ...smallNetwork,
      nodes: [
        conv("x", "stem"),
        op("Relu", "a", "stem"),
        conv("a", "deep"),
        op("Relu", "d", "deep"),
        conv("d", "out"),
        conv("a", "short"),
        op("Add", "sum", "out", "short"),
        ...smallNetwork.nodes.slice(6),
      ],
      constants: {
        ...smallNetwork.constants,
        "deep.weight": someFloats([8, 8, 3, 3], 2),
        "short.weight": someFloats([8, 8, 3, 3], 6),
      },
    };
    const live = liveHandles();
    for (const recipe of ["rtn", "cbq"] as const) {
      const { delivered } = runOnGraph(folder.path, shortcut, recipe, "W8A4", recipe === "cbq" ? { window } : {});
      expect(delivered.activations.get("short")).toBe(delivered.activations.get("deep"));
      expect(delivered.activations.get("out")).not.toBe(delivered.activations.get("deep"));
    }
    expect(liveHandles()).toBe(live);
  });

  it("need examples, which the error asks for", () => {
    try {
      runOnGraph(folder.path, smallNetwork, "rtn", "W8A8", {}, { tokens: null });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(CrossblockError);
      expect((error as CrossblockError).next).toContain("--calibration");
    }
  });
});
