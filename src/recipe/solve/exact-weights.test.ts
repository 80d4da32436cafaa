import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import type { RecipeName } from "../job/recipe-names.js";
import { runRecipe } from "../job/run-recipe.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import { type Delivered, type TinyNetwork, tinyJob, tinyNetwork } from "../testing/tiny-run.js";

let network: TinyNetwork;
beforeAll(async () => {
  network = await tinyNetwork(2);
});
afterAll(() => network[Symbol.dispose]());

function run(
  recipe: RecipeName,
  scheme: string,
  options: RecipeOptionsInput,
  dtype: RecipeJob["dtype"] = "float32",
): Delivered {
  const { job, delivered } = tinyJob(network, recipe, scheme, { finish: "none", ...options }, { dtype });
  for (const _ of runRecipe(job));
  return delivered;
}

describe("a checkpoint in fp32 whose products are in bf16", () => {
  it.each(["W8A16", "W4A16g8"])("is rounded from what the checkpoint holds: %s", (scheme) => {
    const expected = run("rtn", scheme, {}).weights;
    expect(run("rtn", scheme, {}, "bfloat16").weights).toEqual(expected);
    // Training that does nothing hardens the codes that it began with.
    const untrained = { window: { epochs: 0 }, rounding: { start: "rtn" } } as const;
    expect(run("cbq", scheme, untrained, "bfloat16").weights).toEqual(expected);
  });

  it("keeps folded norms as precise as they are stored", () => {
    const { plain } = run("cbq", "W8A8", { window: { epochs: 0 }, cfp: { activations: true } }, "bfloat16");
    const values = [...plain.values()].flatMap((bytes) => [...new Uint32Array(bytes.slice().buffer)]);
    expect(values.length).toBeGreaterThan(0);
    expect(values.some((bits) => (bits & 0xffff) !== 0)).toBe(true);
  });
});

describe("static ranges of inputs", () => {
  it("are searched once for the Linears that share an input", () => {
    using round = vi.spyOn(Tensor.prototype, "round_");
    const { activations } = run("rtn", "W4A8", { activation: { granularity: "tensor" } });
    // 40 candidates, 6 sequences, 2 blocks, 4 inputs of 7 Linears.
    expect(round.mock.calls.length).toBe(40 * 6 * 2 * 4);
    const of = (name: string): number | undefined => activations.get(`model.layers.0.${name}_proj`);
    expect([of("self_attn.k"), of("self_attn.v"), of("mlp.gate")]).toEqual([
      of("self_attn.q"),
      of("self_attn.q"),
      of("mlp.up"),
    ]);
  });
});
