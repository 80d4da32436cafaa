import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveRecipeOptions } from "../options/resolve-recipe-options.js";
import { recipes } from "../recipes.js";
import { type TinyNetwork, tinyJob, tinyNetwork } from "../testing/tiny-run.js";
import { microBatch, mostAtOnce, stepBatch } from "./micro-batch.js";
import type { RecipeJob } from "./recipe-job.js";
import { runRecipe } from "./run-recipe.js";

let network: TinyNetwork;
beforeAll(async () => {
  network = await tinyNetwork(1);
});
afterAll(() => network[Symbol.dispose]());

// Those of diffusion networks are tested on one.
const training = recipes.filter(({ training: when, needsTimeSteps }) => when !== null && needsTimeSteps !== true);
/** Of recipes that train only where they are asked to. */
const asked: Readonly<Record<string, object>> = { slim: { slim: { clipping: "learnt" } } };
const SEQUENCES = 6;

describe("sequences at once", () => {
  it.each(training.map(({ name }) => name))("of a step are what the plan is told: %s", (recipe) => {
    const { job } = tinyJob(network, recipe, "W4A16g8", { finish: "none", ...asked[recipe] });
    const step = [...runRecipe(job)].find((event) => event.event === "step");
    expect(step?.steps).toBe((step?.epochs ?? 0) * Math.ceil(SEQUENCES / stepBatch(job.recipe, job.options)));
  });

  it("are a whole step where nothing else is asked for, and at least what passes without gradients take", () => {
    const sizes = [1, 4, 6].map((batch) => {
      let size = 0;
      const { job } = tinyJob(network, "norm-tweaking", "W4A16g8", { normTweaking: { batch } });
      const sink: RecipeJob["sink"] = {
        ...job.sink,
        windowDone: (_done, _state, atOnce) => {
          size = atOnce;
        },
      };
      for (const _ of runRecipe({ ...job, sink }));
      return size;
    });
    expect(sizes).toEqual([4, 4, 6]);
  });

  it("are fewer where the options say so", () => {
    const recipe = training.find(({ name }) => name === "efficient-qat");
    if (recipe === undefined) throw new TypeError("no such recipe");
    const options = resolveRecipeOptions(
      { blockAp: { batch: 16 }, window: { microBatch: 3 } },
      { recipe: "efficient-qat" },
    );
    expect(microBatch(options, mostAtOnce(recipe, options))).toBe(3);
    expect(microBatch({ window: { ...options.window, microBatch: null } }, mostAtOnce(recipe, options))).toBe(16);
  });
});
