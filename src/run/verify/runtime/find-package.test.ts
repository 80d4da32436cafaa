import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findPackage } from "./find-package.js";

let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-packages-"));
  mkdirSync(join(scratch, "project", "deep"), { recursive: true });
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function install(name: string, description: object): string {
  const folder = join(scratch, "project", "node_modules", name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify(description));
  return folder;
}

describe("an optional package", () => {
  it.each([
    [
      "exports for import only",
      { exports: { ".": { import: "./esm.js", types: "./t.d.ts" }, "./x": "./x.js" } },
      "esm.js",
    ],
    ["exports by runtime", { exports: { node: { import: "./node.mjs" }, default: "./web.js" } }, "node.mjs"],
    ["main", { main: "lib/main.js" }, "lib/main.js"],
    ["nothing but its index", {}, "index.js"],
  ])("is found from a folder below the project: %s", (kind, description, entry) => {
    const name = `@test/${kind.replaceAll(" ", "-")}`;
    const folder = install(name, { version: "1.2.3", ...description });
    const found = findPackage(name, join(scratch, "project", "deep"));
    expect(found).toEqual({ entry: pathToFileURL(join(folder, entry)).href, version: "1.2.3" });
  });

  it("is null where it is not installed, or not installed whole", () => {
    expect(findPackage("@test/none", join(scratch, "project"))).toBeNull();
    mkdirSync(join(scratch, "project", "node_modules", "half"), { recursive: true });
    expect(findPackage("half", join(scratch, "project"))).toBeNull();
  });
});
