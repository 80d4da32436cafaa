import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { recipeNames } from "../../src/recipe/job/recipe-names.js";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The recipes themselves, types that a script wrote, tests and their cases. */
const MAY_NAME_THEM = /^src\/(recipe|api\/generated)\/|\.test\.ts$|\/testing\//;

/** Where the format is meant that has the name of a method. */
const SPEAKS_OF_FORMATS = /^src\/(format\/gptq\/|format\/exporters|run\/card\/model-card)/;

/** Lines of code that name a recipe: file, number, text. */
function naming(files: readonly string[], names: readonly string[]): string[] {
  const quoted = new RegExp(`["'\`](${names.join("|")})["'\`]`);
  return files.flatMap((file) =>
    readFileSync(join(ROOT, file), "utf8")
      .split("\n")
      .map((line, index) => ({ line: line.trim(), place: `${file}:${index + 1}` }))
      .filter(({ line }) => quoted.test(line) && !/^(\*|\/\/|\/\*)/.test(line))
      .map(({ line, place }) => `${place}: ${line}`),
  );
}

it("nothing outside src/recipe/ names a recipe, so that a new one is one file and a line of the table", () => {
  const listed = execFileSync("git", ["ls-files", "-z", "--", "src"], { cwd: ROOT }).toString();
  const files = listed.split("\0").filter((name) => name.endsWith(".ts") && !MAY_NAME_THEM.test(name));
  expect(
    naming(files, recipeNames).filter((line) => !(SPEAKS_OF_FORMATS.test(line) && line.includes('"gptq"'))),
  ).toEqual([]);
  // The same search finds them where they may be.
  expect(naming(["src/recipe/rtn.ts"], recipeNames).length).toBeGreaterThan(0);
});
