import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { figuresOf, tablesOf } from "../../scripts/pages/figures.mjs";
import { allFigures, fill, wantedPages } from "../../scripts/pages/pages.mjs";
import { recipeNames } from "../../src/recipe/job/recipe-names.js";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: ROOT });
const files = listed
  .toString()
  .split("\n")
  .filter((path) => path !== "" && existsSync(join(ROOT, path)));
const pages = files.filter((path) => path.endsWith(".md"));
const measurements = pages.filter((page) => page.startsWith("docs/measurements/"));
const quoting = pages.filter((page) => page === "README.md" || page.startsWith("docs/guide/"));

/** A page without its code: blocks between fences, and what stands in backticks. */
const prose = (text: string): string => text.replaceAll(/^```[\s\S]*?^```/gm, "").replaceAll(/`[^`\n]*`/g, "");

/** What a heading is called behind `#` in a link, as GitHub writes it. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\- _]/gu, "")
    .replaceAll(" ", "-");

describe("the pages", () => {
  it.each([...wantedPages().keys()])("%s is what `npm run pages` writes", (path) => {
    expect(read(path)).toBe(wantedPages().get(path));
  });

  it.each(pages)("every link in %s leads to a file and a heading of it", (page) => {
    const broken = [...prose(read(page)).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [path = "", heading] = link.split("#");
      const target = path === "" ? page : normalize(join(dirname(page), path));
      if (!existsSync(join(ROOT, target))) return [link];
      if (heading === undefined) return [];
      const headings = [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) => anchor(text));
      return headings.includes(heading) ? [] : [link];
    });
    expect(broken).toEqual([]);
  });

  it.each(["README.md", "FEATURES.md", "docs/guide/recipes.md"])("%s names every recipe", (page) => {
    expect(recipeNames.filter((name) => !read(page).includes(`\`${name}\``))).toEqual([]);
  });

  it("that sources, scripts and messages name exist", () => {
    const gone = files
      .filter(
        (path) => /^(src|scripts|bench|native|test|examples)\//.test(path) && /\.(m?ts|mjs|py|cpp|cu|h|md)$/.test(path),
      )
      .flatMap((path) =>
        [...read(path).matchAll(/(?<![\w/])docs\/[\w/.-]*\w/g)]
          .filter(([named]) => !existsSync(join(ROOT, named)))
          .map(([named]) => `${path}: ${named}`),
      );
    expect(gone).toEqual([]);
  });

  it.each(measurements)("every table of %s says machine, date and command", (page) => {
    const silent = tablesOf(read(page)).filter(({ measured }) => measured === null);
    expect(silent.map(({ line }) => line)).toEqual([]);
  });

  it.each(quoting)("%s has no measured number but those of figures.json", (page) => {
    const own = prose(read(page))
      .replaceAll(/<!--=[^ ]+?-->[^<]*<!--\/-->/g, "")
      .replaceAll(/<!-- table: [\s\S]*?<!-- \/table -->/g, "")
      .replaceAll(/\[arXiv [\d.]+\]\(\S+\)|Node \d+\.\d+/g, "");
    expect(own.match(/\d+\.\d\d+/g) ?? []).toEqual([]);
  });
});

describe("figures", () => {
  const page = (measured: string): string =>
    `# Speed\n\n## A step\n\n${measured}\n\n<!-- figures: step -->\n| | time (all) |\n|---|---|\n| **1,000 tokens**, \`W4A4\` | **7.5 ms** |\n| none | |\n`;
  const measured = "Measured on one GPU, 2 cores, 2026-01-02,\nby `npm run bench`.";

  it("have a value, and say what, where, when and how it was measured", () => {
    const figure = {
      value: "7.5 ms",
      what: "A step: 1,000 tokens, W4A4, time (all)",
      machine: "one GPU, 2 cores",
      date: "2026-01-02",
      command: "`npm run bench`",
    };
    expect(figuresOf("page.md", page(measured))).toEqual([["step/1000-tokens-w4a4/time", figure]]);
  });

  it("need that paragraph in their section, before the table", () => {
    expect(() => figuresOf("page.md", page("Measured on one GPU."))).toThrow(
      /page\.md, line 8: no paragraph "Measured on/,
    );
    expect(tablesOf(`${measured}\n\n${page("")}`).map((table) => table.measured)).toEqual([null]);
  });

  it("are filled in where a page quotes them, and an unknown one is named", () => {
    const figures = { "step/a/time": { value: "8" } };
    expect(fill("p.md", "takes <!--=step/a/time-->7<!--/--> s", figures)).toBe("takes <!--=step/a/time-->8<!--/--> s");
    expect(() => fill("p.md", "<!--=step/b/time-->7<!--/-->", figures)).toThrow(
      "p.md: docs/measurements/figures.json has no figure step/b/time",
    );
    expect(() => fill("p.md", "<!-- table: nothing -->\n<!-- /table -->", {})).toThrow("no table nothing");
  });

  it("of the README come from measured tables", () => {
    const quoted = [...read("README.md").matchAll(/<!--=([^ ]+?)-->([^<]*)<!--\/-->/g)];
    expect(quoted.length).toBeGreaterThan(30);
    const figures = allFigures();
    for (const [, id = "", value] of quoted) expect([id, figures[id]?.value]).toEqual([id, value]);
  });
});
