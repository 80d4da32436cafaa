import { describe, expect, it } from "vitest";
import { optionEntries } from "../../recipe/options/merge-options.js";
import { declares } from "../../recipe/options/option-readers.js";
import { resolveRecipeOptions } from "../../recipe/options/resolve-recipe-options.js";
import { recipes } from "../../recipe/recipes.js";
import { mayBeRead, readerContext } from "./option-use.js";
import { recipeOptionsOf, resolveOptions, runOptionsSchema, schemeOf, type UntypedOptions } from "./options.js";
import { otherDefaults } from "./other-defaults.js";
import { optionLines } from "./parse/option-tree.js";

const required = { model: "m", scheme: "W2A16g64", out: "o", calibration: ["text.txt"] };

describe("defaults", () => {
  it("are the same in the schema, in a run and in what the recipes' tests take", () => {
    const options = resolveOptions(required);
    const shown = new Map(optionLines(runOptionsSchema).map(({ name, defaultValue }) => [name, defaultValue]));
    const run = new Map(optionEntries(recipeOptionsOf(options)));
    expect(run.size).toBeGreaterThan(40);
    for (const [name, value] of run) expect([name, shown.get(name)]).toEqual([name, JSON.stringify(value)]);
    expect(recipeOptionsOf(options)).toEqual(resolveRecipeOptions());
  });

  it.each<[UntypedOptions, string]>([
    [{ rounding: { kind: "lora" } }, "rounding.kind=lora"],
    [{ rounding: { kind: "adaround" } }, "rounding.kind=adaround"],
    [{ cfp: { weights: true, detection: "msmodelslim" } }, "cfp.detection=msmodelslim"],
    [{ preset: "paper" }, "--preset paper"],
  ])("that go with %j are those that help shows", (given, when) => {
    const plain = new Map(optionEntries(resolveOptions(required)));
    const set = new Set(optionEntries(given).map(([name]) => name));
    const reasons = when === "--preset paper" ? [when, "rounding.kind=lora"] : [when];
    let others = 0;
    for (const [name, value] of optionEntries(resolveOptions(required, given))) {
      if (set.has(name)) continue;
      const own = JSON.stringify(plain.get(name));
      const shown = otherDefaults(name, own).filter((text) =>
        reasons.some((reason) => text.endsWith(` with ${reason}`)),
      );
      others += shown.length;
      expect([name, shown[0]?.split(" with ")[0] ?? own]).toEqual([name, JSON.stringify(value)]);
    }
    expect(others).toBeGreaterThan(0);
  });

  it("that go with an effort are those that help shows, with the recipe where it is not the default one", () => {
    expect(otherDefaults("samples", "128")).toEqual(["22 with --effort quick", "512 with --effort best"]);
    expect(otherDefaults("context", "null")).toEqual(["1024 with --effort quick"]);
    expect(otherDefaults("finish", '"auto"')).toContain('"none" with --effort quick');
    expect(otherDefaults("blockAp.epochs", "4")).toContain("2 with --recipe efficient-qat --effort quick");
    expect(otherDefaults("blockAp.epochs", "4", "efficient-qat")).toContain("2 with --effort quick");
  });

  it("of GPTQ are read by every recipe that trains, which falls back to its codes", () => {
    for (const recipe of recipes) {
      const trains = recipe.training !== null;
      // SliM-LLM trains ranges where it is asked to.
      const asked = recipe.name === "slim" ? ({ slim: { clipping: "learnt" } } as const) : {};
      expect([recipe.name, recipe.cost(resolveRecipeOptions(asked, { recipe: recipe.name })).trains]).toEqual([
        recipe.name,
        trains,
      ]);
      if (trains) expect([recipe.name, declares(recipe, "gptq.damping")]).toEqual([recipe.name, true]);
    }
  });

  it("of a preset are read by its recipe", () => {
    for (const { name: recipe, presets } of recipes) {
      for (const [preset, values] of Object.entries<UntypedOptions>(presets)) {
        // Some are for quantized inputs alone.
        const contexts = ["W2A16g64", "W4A4g64"].map((scheme) => {
          const options = resolveOptions({ ...required, scheme }, { recipe, preset, asym: true });
          return readerContext(options, schemeOf(options));
        });
        for (const [name] of optionEntries(values)) {
          const read = contexts.some((context) => mayBeRead(name, context));
          expect([recipe, preset, name, read]).toEqual([recipe, preset, name, true]);
        }
      }
    }
  });
});
