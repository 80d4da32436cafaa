import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readingPath } from "../../scripts/reading-path.mjs";
import { recipes } from "../../src/recipe/recipes.js";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

describe("CBQ", () => {
  const { paper, formulas, files } = readingPath("cbq");

  it("is understood from eight files", () => {
    expect(paper).toBe("arXiv 2312.07950");
    expect(files[0]).toBe("recipe/cbq.ts");
    expect(files.length).toBeLessThanOrEqual(8);
  });

  it("has each of its formulas on the way", () => {
    expect([...formulas].sort()).toEqual([
      "quant/input/activation.ts",
      "quant/weight-path/soft-round.ts",
      "quant/weight-path/soft-rounding.ts",
      "reconstruct/objective/objective.ts",
      "reconstruct/schedule.ts",
      "transform/cfp/detect-outliers.ts",
      "transform/cfp/fold-outliers.ts",
    ]);
  });

  it("states its loss, its windows and both branches in the recipe's own file", () => {
    const text = readFileSync(join(ROOT, "src", "recipe", "cbq.ts"), "utf8");
    for (const stated of ["L = L_rec + gamma L_com", "cross-block dependency (CBD)", "the homologous scheme"]) {
      expect(text).toContain(stated);
    }
  });
});

it.each(recipes.filter(({ name }) => name !== "rtn").map(({ name }) => name))(
  "%s is understood from eight files at most, formulas among them",
  (name) => {
    const { formulas, files } = readingPath(name);
    expect(formulas.length).toBeGreaterThan(0);
    expect(files.length).toBeLessThanOrEqual(8);
  },
);

it.each(recipes.map(({ name }) => name))("%s reads like its paper, in at most 150 lines", (name) => {
  const lines = readFileSync(join(ROOT, "src", "recipe", `${name}.ts`), "utf8")
    .trimEnd()
    .split("\n");
  expect(lines.length).toBeLessThanOrEqual(150);
});

it("says what a recipe without a paper lacks", () => {
  expect(() => readingPath("recipe")).toThrow(/names no paper.*Next: /);
});
