import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SeededRandom } from "../../calibration/seeded-random.js";
import { liveHandles } from "../../tensor/index.js";
import { recipeNames } from "../job/recipe-names.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import { recipeRuns } from "../testing/recipe-runs.js";
import { type Delivered, type TinyNetwork, tinyJob, tinyNetwork } from "../testing/tiny-run.js";
import type { RecipeState } from "./saved-state.js";

let network: TinyNetwork;
beforeAll(async () => {
  network = await tinyNetwork(3);
});
afterAll(() => network[Symbol.dispose]());

type Run = (typeof recipeRuns)[number];

/** What a run left behind when it was ended behind a window: what it starts from, and what it had handed over. */
interface Left {
  readonly state: RecipeState;
  readonly delivered: Delivered;
}

/** Runs to the end; `left` holds what a run that is ended behind each window leaves. */
function run(
  [, recipe, scheme]: Run,
  options: RecipeOptionsInput,
  from: Left | null = null,
): { delivered: Delivered; left: Left[] } {
  const live = liveHandles();
  const { job, delivered } = tinyJob(network, recipe, scheme, options, { resume: from?.state ?? null });
  const copy = (): Delivered =>
    Object.fromEntries(Object.entries(delivered).map(([name, kept]) => [name, new Map(kept)])) as unknown as Delivered;
  for (const key of Object.keys(delivered) as (keyof Delivered)[]) {
    for (const [name, value] of from?.delivered[key] ?? []) (delivered[key] as Map<string, unknown>).set(name, value);
  }
  const left: Left[] = [];
  const windowDone: typeof job.sink.windowDone = ({ window }, tensors) => {
    const bytes = new Map(tensors.map(({ name, pieces }) => [name, Buffer.concat([...pieces()])]));
    const read: RecipeState["read"] = (name, begin, end) => (bytes.get(name) as Buffer).subarray(begin, end);
    left.push({ state: { window: window + 1, read }, delivered: copy() });
  };
  for (const _ of runRecipe({ ...job, sink: { ...job.sink, windowDone } }));
  expect(liveHandles()).toBe(live);
  return { delivered, left };
}

const wholeRuns = new Map<Run, ReturnType<typeof run>>();

/** A recipe's run that nothing ends, of which every test compares another. */
function wholeOf(each: Run): ReturnType<typeof run> {
  const found = wholeRuns.get(each) ?? run(each, each[3]);
  wholeRuns.set(each, found);
  return found;
}

describe("every recipe", () => {
  it("is among these runs, but for those that need a graph or train the model first, which have tests of their own", () => {
    const others = recipeNames.filter((name) => !recipeRuns.some(([, recipe]) => recipe === name));
    // test/graph/runs and src/recipe/whole-model.
    expect(others).toEqual(["kurtosis", "tfmq"]);
  });

  it.each(recipeRuns.map((each) => [each[0], each] as const))(
    "gives the same bits again, wherever it was ended and continued: %s",
    (_name, each) => {
      const whole = wholeOf(each);
      expect(whole.delivered.weights.size).toBeGreaterThan(0);
      expect(run(each, each[3]).delivered).toEqual(whole.delivered);
      const ends = whole.left.slice(0, -1);
      const random = new SeededRandom(29);
      const chosen = ends.length === 0 ? [] : [ends[random.below(ends.length)] as Left, ends.at(-1) as Left];
      for (const left of chosen) {
        expect([left.state.window, run(each, each[3], left).delivered]).toEqual([left.state.window, whole.delivered]);
      }
    },
  );

  it.each(recipeRuns.map((each) => [each[0], each] as const))(
    "comes to nearly the same with one sequence at once, as little memory makes it: %s",
    (_name, each) => {
      const given = each[3].window ?? {};
      const [whole, single] = [wholeOf(each), run(each, { ...each[3], window: { ...given, microBatch: 1 } })];
      let [same, all] = [0, 0];
      for (const [name, { codes }] of whole.delivered.weights) {
        const others = single.delivered.weights.get(name)?.codes ?? new Uint8Array();
        expect(others.length).toBe(codes.length);
        same += codes.reduce((sum, code, i) => sum + (code === others[i] ? 1 : 0), 0);
        all += codes.length;
      }
      // Sums are rounded in another order, and few weights are so near to a boundary.
      expect(same / all).toBeGreaterThan(0.9);
    },
  );
});
