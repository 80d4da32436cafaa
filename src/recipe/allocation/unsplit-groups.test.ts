import { afterAll, beforeAll, expect, it } from "vitest";
import { runRecipe } from "../job/run-recipe.js";
import { type TinyNetwork, tinyJob, tinyNetwork } from "../testing/tiny-run.js";
import { enoughGroups } from "./unsplit-groups.js";

let network: TinyNetwork;
beforeAll(async () => {
  network = await tinyNetwork(2);
});
afterAll(() => network[Symbol.dispose]());

function warningsOf(scheme: string): readonly unknown[] {
  const { job } = tinyJob(network, "slim", scheme, { range: { candidates: 4 } });
  return [...runRecipe(job)].filter(({ event }) => event === "warning");
}

it("finds the largest groups of which every width has four", () => {
  expect(enoughGroups([576, 1536])).toBe(96);
  expect(enoughGroups([896, 4864])).toBe(128);
  expect(enoughGroups([60, 100])).toBe(10);
  expect(enoughGroups([64, 96])).toBe(16);
  expect(enoughGroups([28, 64])).toBeNull();
});

it("says once which Linears share no bits out, and what does", () => {
  // The tiny Llama has 32 and 24 columns: four groups and three.
  expect(warningsOf("W3A16g8")).toMatchObject([
    {
      message: expect.stringContaining("groups of 8 columns are fewer than four"),
      where: "all blocks: down",
      next: "use --recipe gptq",
    },
  ]);
});
