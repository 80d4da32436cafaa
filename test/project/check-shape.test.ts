import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";

const SCRIPT = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "scripts", "check-shape.mjs");

/** A small checkout, so that a deliberate violation never lies in the repository. */
let copy = "";

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), "crossblock-shape-"));
  execFileSync("git", ["init", "--quiet", copy]);
  write(".gitignore", "dist/\n");
});

afterEach(() => rmSync(copy, { recursive: true, force: true }));

function write(file: string, text = ""): void {
  mkdirSync(dirname(join(copy, file)), { recursive: true });
  writeFileSync(join(copy, file), text);
}

function check(...args: string[]): { passes: boolean; output: string } {
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], { encoding: "utf8" });
  return { passes: status === 0, output: stderr };
}

/** Lines that end as a text file's do. */
const lines = (count: number): string => "x\n".repeat(count);

it("passes with files and folders at their limits", () => {
  write("src/tensor/tensor.ts", lines(300));
  for (let i = 0; i < 14; i++) write(`src/tensor/file-${i}.ts`);
  for (let i = 0; i < 15; i++) write(`src/tensor/engine/file-${i}.ts`);
  expect(check("--root", copy)).toEqual({ passes: true, output: "" });
});

it.each(["src/a/long.ts", "native/cuda/kernels/long.cu", "scripts/long.mjs", "bench/long.py", "test/run/long.test.ts"])(
  "refuses %s with 301 lines: its name, the count and what to do",
  (name) => {
    write(name, lines(301));
    const { passes, output } = check("--root", copy);
    expect(passes).toBe(false);
    expect(output).toContain(`${name} has 301 lines, and may have 300. Next: move`);
  },
);

it("refuses a folder of 16 files, tests counted", () => {
  for (let i = 0; i < 8; i++) write(`src/quant/file-${i}.ts`);
  for (let i = 0; i < 8; i++) write(`src/quant/file-${i}.test.ts`);
  const { passes, output } = check("--root", copy);
  expect(passes).toBe(false);
  expect(output).toContain("src/quant/ has 16 files, and may have 15. Next: move");
});

it("lets pass what is no code: golden files, pages, what git ignores", () => {
  write("src/a/a.ts", lines(1));
  write("src/a/testing/goldens/long.py", lines(900));
  for (let i = 0; i < 30; i++) write(`src/a/testing/goldens/case-${i}.json`);
  for (let i = 0; i < 30; i++) write(`notes/page-${i}.md`, lines(400));
  write("test/dist/long.js", lines(900));
  expect(check("--root", copy)).toEqual({ passes: true, output: "" });
});

it("does not pass where there is no code at all", () => {
  const { passes, output } = check("--root", copy);
  expect(passes).toBe(false);
  expect(output).toMatch(/no code.*Next: /);
});
