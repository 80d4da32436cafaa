import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const scripts = ["scripts", "bench", "examples"].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".mjs"))
    .map((file) => join(folder, file)),
);

// Most of them run by hand, and rarely: what they name moves in the meantime.
describe("a script", () => {
  it("imports compiled modules whose source is there", () => {
    const gone = scripts.flatMap((script) =>
      [...readFileSync(script, "utf8").matchAll(/(?:from|import\()\s*"(?:\.\.\/)+dist\/([^"]+)\.js"/g)]
        .filter(([, module]) => !existsSync(`src/${module}.ts`))
        .map(([, module]) => `${script}: dist/${module}.js`),
    );
    expect(gone).toEqual([]);
  });

  it("that changes lines of the allocator finds them", () => {
    const [, pairs = ""] =
      /const EXACT = [^[]*(\[[\s\S]*?)\]\);/.exec(readFileSync("scripts/stress/sanitize.mjs", "utf8")) ?? [];
    const lines = [...pairs.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, line]) => line ?? "");
    const allocator = readFileSync("native/memory/host_allocator.cpp", "utf8");
    expect(lines.length).toBe(6);
    expect(lines.filter((line, i) => i % 2 === 0 && !allocator.includes(line))).toEqual([]);
  });
});
