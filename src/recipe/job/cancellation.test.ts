import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SeededRandom } from "../../calibration/seeded-random.js";
import { liveHandles } from "../../tensor/index.js";
import { recipeRuns } from "../testing/recipe-runs.js";
import { type TinyNetwork, tinyJob, tinyNetwork } from "../testing/tiny-run.js";
import type { RecipeEvent } from "./recipe-job.js";
import { runRecipe } from "./run-recipe.js";

/** Parts of a run, in each of which it is stopped at one place and left at another. */
const PARTS = 3;

/** A place in each part of `all`. */
function placesIn(all: number, random: SeededRandom): number[] {
  return Array.from({ length: PARTS }, (_, part) => {
    const begin = Math.floor((part * all) / PARTS);
    return begin + random.below(Math.max(1, Math.floor(((part + 1) * all) / PARTS) - begin));
  });
}

let network: TinyNetwork;
beforeAll(async () => {
  network = await tinyNetwork(3);
});
afterAll(() => network[Symbol.dispose]());

describe("a run that is stopped, wherever it is", () => {
  it.each(recipeRuns)("leaves no tensor behind: %s", (_name, recipe, scheme, options) => {
    let polls = 0;
    let last = Number.POSITIVE_INFINITY;
    const start = (): Generator<RecipeEvent> =>
      runRecipe(
        tinyJob(network, recipe, scheme, options, {
          poll: () => {
            if (++polls > last) throw new RangeError("stopped");
          },
        }).job,
      );
    const live = liveHandles();
    const events = [...start()].length;
    const all = polls;
    expect(liveHandles()).toBe(live);
    const random = new SeededRandom(17);
    // Where it asks whether it may go on.
    for (const place of placesIn(all, random)) {
      [polls, last] = [0, place];
      expect(() => [...start()]).toThrow("stopped");
      expect([last, liveHandles()]).toEqual([last, live]);
    }
    // Where whoever reads its events stops to.
    last = Number.POSITIVE_INFINITY;
    for (const read of placesIn(events, random)) {
      const running = start();
      for (let k = 0; k <= read; k++) running.next();
      running.return(undefined);
      expect([read, liveHandles()]).toEqual([read, live]);
    }
  });
});
