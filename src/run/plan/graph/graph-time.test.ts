import { describe, expect, it } from "vitest";
import type { UnitPlan } from "../../../network/index.js";
import { parseScheme, type Scheme } from "../../../quant/scheme.js";
import { resolveRecipeOptions } from "../../../recipe/options/resolve-recipe-options.js";
import { linearPlans } from "../linear-plans.js";
import { slowMachine } from "../testing/slow-machine.js";
import type { GraphPlanInput } from "./graph-plan.js";
import { stageSecondsOf, windowSecondsOf } from "./graph-time.js";

const layer = (module: string, more: object = {}) => ({
  ...{ name: module, module, rows: 8, columns: 9, bias: false, addsTo: null, reads: `${module}.x`, ...more },
});
const units = [[layer("stem", { readsInput: true })], [layer("deep")], [layer("head")]].map(
  (layers, index): UnitPlan => ({ index, layers, sites: [], norms: [] }) as unknown as UnitPlan,
);

/** Units of 1 ms forwards; a step takes 10 ms and 1 ms an example. */
function input(brecq: object, scheme = "W4A16", stem = 8): GraphPlanInput {
  const parsed = parseScheme(scheme);
  const schemes = new Map<string, Scheme>(
    ["stem", "deep", "head"].map((name) => [
      name,
      { ...parsed, ...(name === "stem" && { bits: stem, activationBits: 16 }) } as Scheme,
    ]),
  );
  const options = { recipe: "brecq", ...resolveRecipeOptions({ brecq }, { recipe: "brecq" }) };
  return {
    ...{ options, units, schemes, examples: 64, scheme: parsed, exampleBytes: 0, checkpoint: { tensors: new Map() } },
    extents: units.map(({ layers }) => ({
      ...{ made: 0, read: 0, left: 0 },
      layers: layers.map(({ module }) => ({ module, rows: 8, columns: 9, positions: 4, inputs: 1e6 })),
    })),
    speed: { ...slowMachine, counting: 6e-9, units: units.map(() => ({ forward: 1e-3, step: 1e-2, example: 1e-3 })) },
  } as unknown as GraphPlanInput;
}

function seconds(given: GraphPlanInput, at: number): number {
  const window = { first: at, last: at, leaving: 1 };
  const before = at === 0 ? undefined : { first: at - 1, last: at - 1, leaving: 1 };
  const linears = linearPlans(given.units, given.schemes).filter(({ block }) => block === at);
  return windowSecondsOf(given, window, before, linears);
}

describe("seconds of a window of a graph", () => {
  it("are those of its steps, by their number and their examples, beside passes", () => {
    // 2 steps of 32 an epoch: 2 x 10 ms and 64 x 1 ms.
    const more = seconds(input({ epochs: 30 }), 1) - seconds(input({ epochs: 20 }), 1);
    expect(more).toBeCloseTo(10 * (0.02 + 0.064), 9);
    const none = seconds(input({ epochs: 0 }), 1);
    // Target, quantized stream and what is measured: 64 x 2 and 16 x 5 passes of 1.3 ms.
    expect(none).toBeCloseTo((64 * 2 + 16 * 5) * 1.3e-3, 5);
  });

  it("count no training of a first layer that is rounded to nearest, but of one of few bits", () => {
    expect(seconds(input({ epochs: 30 }), 0)).toBeCloseTo(seconds(input({ epochs: 0 }), 0), 9);
    expect(seconds(input({ epochs: 30 }, "W4A16", 4), 0)).toBeGreaterThan(2);
  });

  it("count what fixes ranges of inputs, and no input that is not quantized", () => {
    // 64 examples twice: through the unit, and a million numbers of theirs.
    const ranges = seconds(input({ epochs: 0 }, "W4A8"), 1) - seconds(input({ epochs: 0 }), 1);
    expect(ranges).toBeCloseTo(64 * 2 * (1.3e-3 + 6e-3), 9);
    expect(seconds(input({ epochs: 0 }, "W4A8"), 0)).toBe(seconds(input({ epochs: 0 }), 0));
  });

  it("count the units behind it where the network's output weights its errors", () => {
    const fisher = seconds(input({ epochs: 30, loss: "fisher" }), 1) - seconds(input({ epochs: 30 }), 1);
    expect(fisher).toBeCloseTo(64 * 4 * 1.3e-3, 9);
    expect(seconds(input({ epochs: 30, loss: "fisher" }), 2)).toBeCloseTo(seconds(input({ epochs: 30 }), 2), 9);
  });

  it("of scoring are those of three networks on what was held out", () => {
    const given = input({});
    const { scoring } = stageSecondsOf(given, { scored: 10, weights: 0, resultBytes: 0 });
    expect(scoring).toBeCloseTo(10 * 3 * 3 * 1.3e-3, 9);
    expect(stageSecondsOf(given, { scored: 0, weights: 0, resultBytes: 0 }).scoring).toBe(0);
  });
});
