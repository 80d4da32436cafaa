import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const BIOME = join(ROOT, "node_modules", "@biomejs", "biome", "bin", "biome");
const FOLDERS = [
  "tensor",
  "checkpoint",
  "calibration",
  "quant",
  "network",
  "transform",
  "reconstruct",
  "recipe",
  "format",
  "evaluate",
  "run",
  "api",
  "cli",
];
const ROOMS = [
  "options",
  "machine",
  "events",
  "engine",
  "result",
  "journal",
  "source",
  "plan",
  "quality",
  "report",
  "card",
  "job",
  "verify",
  "push",
  "worker",
];

/** A copy of the lint settings, so that a deliberate violation never lies in the repository. */
let copy = "";

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), "crossblock-lint-"));
  mkdirSync(join(copy, "scripts"));
  for (const file of ["biome.json", "scripts/explicit-return-types.grit"]) cpSync(join(ROOT, file), join(copy, file));
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

function lint(file: string, source: string): { passes: boolean; output: string } {
  const path = join(copy, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, source);
  const result = spawnSync(process.execPath, [BIOME, "lint", "--vcs-enabled=false", "--colors=off", file], {
    cwd: copy,
    encoding: "utf8",
  });
  rmSync(path);
  return { passes: result.status === 0, output: result.stdout + result.stderr };
}

describe("the order of the folders", () => {
  it.each(FOLDERS.slice(0, -1).map((folder, index) => [folder, FOLDERS[index + 1] ?? ""]))(
    "src/%s may not import src/%s",
    (earlier, later) => {
      const { passes, output } = lint(`src/${earlier}/violation.ts`, `import "../${later}/something.js";\n`);
      expect(passes).toBe(false);
      expect(output).toContain(`src/${earlier} may import its own folder and earlier ones only`);
    },
  );

  it.each(ROOMS.slice(0, -1).map((room, index) => [room, ROOMS[index + 1] ?? ""]))(
    "src/run/%s may not import src/run/%s, nor what comes after run",
    (earlier, later) => {
      for (const path of [`../${later}/something.js`, "../../api/something.js"]) {
        const { passes, output } = lint(`src/run/${earlier}/violation.ts`, `import "${path}";\n`);
        expect(passes).toBe(false);
        expect(output).toContain(`src/run/${earlier} may import its own folder and earlier ones only`);
      }
    },
  );

  it("may not be reversed from a subfolder, by a type, or by a dynamic import", () => {
    const message = "src/format may import its own folder and earlier ones only";
    expect(lint("src/format/gguf/a.ts", 'import "../../run/plan.js";\n').output).toContain(message);
    expect(
      lint("src/format/a.ts", 'import type { Plan } from "../run/plan.js";\nexport type P = Plan;\n').output,
    ).toContain(message);
    expect(lint("src/format/a.ts", 'export const plan = await import("../run/plan.js");\n').output).toContain(message);
  });

  it("lets a folder import itself, earlier folders and src/errors.ts", () => {
    const source = ["./self.js", "../tensor/index.js", "../../quant/scheme.js", "../errors.js"]
      .map((path) => `import "${path}";\n`)
      .join("");
    const { passes, output } = lint("src/format/allowed.ts", source);
    expect(output).not.toContain("noRestrictedImports");
    expect(passes).toBe(true);
  });
});

describe("the types of what is exported", () => {
  it.each([
    ["a function", "export function f(x: number) {\n  return x;\n}\n"],
    ["a constant function", "export const f = (x: number) => x;\n"],
    ["a method", "export class C {\n  m(x: number) {\n    return x;\n  }\n}\n"],
    ["a getter", "export class C {\n  get v() {\n    return 1;\n  }\n}\n"],
  ])("%s must state its return type", (_, source) => {
    const { passes, output } = lint("src/quant/violation.ts", source);
    expect(passes).toBe(false);
    expect(output).toContain("State the return type of what is exported.");
  });

  it("is not asked of what stays inside a file", () => {
    const source = "function f(x: number) {\n  return x;\n}\nexport const y: number = f(1);\n";
    expect(lint("src/quant/allowed.ts", source).passes).toBe(true);
  });
});

describe("promises", () => {
  it("may not float", () => {
    const source = "async function work(): Promise<void> {}\nexport function start(): void {\n  work();\n}\n";
    const { passes, output } = lint("src/run/violation.ts", source);
    expect(passes).toBe(false);
    expect(output).toContain("noFloatingPromises");
  });
});
