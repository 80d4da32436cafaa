import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { OnnxContent } from "../../src/checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { OptionError } from "../../src/errors.js";
import { writeGraph } from "../../src/network/graph/testing/small-graph.js";
import { GraphNetwork, GraphTensors, readGraph } from "../../src/network/index.js";
import { type BitCosts, bitCosts } from "../../src/recipe/graph/bit-costs.js";
import {
  type BitBudget,
  type GeneticAllocation,
  geneticAllocation,
} from "../../src/recipe/graph/genetic-allocation.js";
import type { RecipeEvent, RecipeJob } from "../../src/recipe/job/recipe-job.js";
import { tinyJob } from "../../src/recipe/testing/tiny-run.js";
import { liveHandles } from "../../src/tensor/index.js";
import { testDevice } from "../../src/tensor/testing/test-device.js";
import { smallExamples, smallNetwork } from "./graph-job.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

function onJob<T>(work: (job: RecipeJob) => T): T {
  const file = join(folder.path, "model.onnx");
  writeGraph(file, smallNetwork);
  using content = OnnxContent.open(file);
  const network = GraphNetwork.create(readGraph(content), {}, smallExamples(8));
  const tokens = { ids: Int32Array.from({ length: 8 }, (_, i) => i), sequences: 8, context: 1 };
  const place = { checkpoint: new GraphTensors(network.cut), network, folder: folder.path };
  return work(tinyJob(place, "brecq", "W4A16", {}, { tokens, device: testDevice }).job);
}

function resultOf<T>(steps: Generator<RecipeEvent, T>): T {
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
}

const WIDTHS = [2, 4, 8];

describe("what bits are worth to the layers of a graph", () => {
  it("is measured alone and together, and multiply-adds are counted", () => {
    const live = liveHandles();
    const costs: BitCosts = onJob((job) => resultOf(bitCosts(job, () => WIDTHS)));
    expect([...costs.single.keys()].sort()).toEqual(["deep", "head", "out", "stem"]);
    for (const losses of costs.single.values()) {
      expect(losses.get(2)).toBeGreaterThan(losses.get(4) as number);
      expect(losses.get(4)).toBeGreaterThan(losses.get(8) as number);
      expect(losses.get(8)).toBeGreaterThanOrEqual(0);
    }
    expect([...costs.together.keys()]).toEqual(["deep out"]);
    const both = costs.together.get("deep out") as number;
    expect(both).not.toBeCloseTo((costs.single.get("deep")?.get(2) ?? 0) + (costs.single.get("out")?.get(2) ?? 0), 6);
    // Of 6 x 6 positions each: 8 x 2 x 9 weights, 8 x 9 and 8 x 8 x 9; the head has one position.
    expect(Object.fromEntries(costs.multiplyAdds)).toEqual({
      stem: 36 * 144,
      deep: 36 * 72,
      out: 36 * 576,
      head: 40,
    });
    expect(liveHandles()).toBe(live);
  });
});

describe("bits within a budget", () => {
  const found = (
    budget: BitBudget,
    widths: readonly number[] = WIDTHS,
    groups: readonly (readonly string[])[] = [["deep"], ["out"], ["head"]],
  ): GeneticAllocation =>
    onJob((job) =>
      resultOf(
        geneticAllocation(
          job,
          groups.map((modules) => ({ modules, widths })),
          budget,
        ),
      ),
    );

  it("are all that there are where the budget allows it, and never above it", () => {
    expect([...found({ by: "size", most: 8 }).bits.values()]).toEqual([8, 8, 8]);
    const some = found({ by: "size", most: 4 });
    expect(some.cost).toBeLessThanOrEqual(4 * (1 + 1e-9));
    const sizes: Readonly<Record<string, number>> = { deep: 72, out: 576, head: 40 };
    const mean = [...some.bits].reduce((sum, [name, bits]) => sum + bits * (sizes[name] as number), 0) / 688;
    expect(mean).toBeCloseTo(some.cost, 9);
    expect(some.loss).toBeLessThanOrEqual(found({ by: "size", most: 4 }, [4]).loss);
  });

  it("are the same for layers that go together", () => {
    const { bits, cost } = found({ by: "size", most: 5 }, WIDTHS, [["deep", "out"], ["head"]]);
    expect(bits.get("deep")).toBe(bits.get("out"));
    expect(cost).toBeLessThanOrEqual(5 * (1 + 1e-9));
  });

  it("are priced by multiply-adds or by a table", () => {
    expect(found({ by: "latency", most: 4 }).cost).toBeLessThanOrEqual(4 * (1 + 1e-9));
    const cheap = { "2": 1, "4": 2, "8": 3 };
    const table = { deep: cheap, out: { "2": 1, "4": 100, "8": 100 }, head: cheap };
    const { bits, cost } = found({ by: "latency", most: 7, table });
    expect([bits.get("out"), bits.get("head")]).toEqual([2, 8]);
    expect(cost).toBeLessThanOrEqual(7);
  });

  it("are refused where even the fewest are too many, or a table has no number", () => {
    expect(() => found({ by: "size", most: 1.9 })).toThrow(OptionError);
    expect(() => found({ by: "latency", most: 9, table: { deep: { "2": 1 } } })).toThrow(
      /"out": has no time at 2, 4, 8 bits/,
    );
  });
});
