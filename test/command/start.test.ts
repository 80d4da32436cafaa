import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { nodeVersionError } from "../../src/node-version.js";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const MAIN = join(ROOT, "dist", "cli", "main.js");

/** A process of Node that says it is another version, and what it wrote. */
function asNode(version: string, args: readonly string[]): { code: number | null; stdout: string; stderr: string } {
  const pretend = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } });`;
  const preload = `data:text/javascript,${encodeURIComponent(pretend)}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", preload, ...args], { encoding: "utf8" });
  return { code: status, stdout, stderr };
}

describe("a Node that is too old", () => {
  it("is told so first, by the command line and by the library", () => {
    const command = asNode("18.20.4", [MAIN, "doctor"]);
    expect(command.stderr).toMatch(/^error: crossblock needs Node 20\.19 or newer, and this is Node 18\.20\.4/);
    expect(command.stderr).toMatch(/next: install a newer Node/);
    expect(command).toMatchObject({ code: 1, stdout: "" });
    const url = pathToFileURL(join(ROOT, "dist", "index.js")).href;
    const library = asNode("18.20.4", ["--input-type=module", "-e", `await import("${url}")`]);
    expect(library.stderr).toMatch(/EnvironmentError: .*crossblock needs Node 20\.19 or newer/);
    expect(asNode("20.19.0", [MAIN, "--version"])).toMatchObject({ code: 0 });
  });

  it.each(["18.20.4", "20.18.9", "0.10.0"])("%s", (version) =>
    expect(nodeVersionError(version)?.next).toMatch(/install a newer/),
  );
  it.each(["20.19.0", "22.0.0", "100.1.0"])("is not %s", (version) => expect(nodeVersionError(version)).toBeNull());

  it("is the oldest that package.json names, and reaches the check before any newer syntax", () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { engines: { node: string } };
    expect(nodeVersionError("20.18.0")?.what).toContain(engines.node.replace(">=", ""));
    const read = (name: string): string => readFileSync(join(ROOT, "dist", name), "utf8");
    for (const name of ["cli/main.js", "node-version.js", "errors.js"]) {
      // Older versions have to parse these: no `await` outside of functions, no `??`, no `?.`, no assignments of that kind.
      expect(read(name).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""), name).not.toMatch(/\?\?|\?\.|^await |^\s*using /m);
    }
    expect([...read("cli/main.js").matchAll(/^import .* from "(.*)"/gm)].map(([, path]) => path)).toEqual([
      "../node-version.js",
    ]);
    expect(read("index.js")).toMatch(/^(?:\/\/\/.*\s|\/\*[\s\S]*?\*\/\s*)*import "\.\/require-node\.js";/);
  });
});

it.each([["--version"], ["--help"]])("crossblock %s loads neither options nor engine", (flag) => {
  const hooks = `
    export async function load(url, context, next) { process._rawDebug("loaded " + url); return next(url, context); }`;
  const register = `import { register } from "node:module"; register("data:text/javascript,${encodeURIComponent(hooks)}");`;
  const preload = `data:text/javascript,${encodeURIComponent(register)}`;
  const { status, stderr } = spawnSync(process.execPath, ["--import", preload, MAIN, flag], { encoding: "utf8" });
  const loaded = [...stderr.matchAll(/^loaded file:\/\/(.*)$/gm)].map(([, path = ""]) => path);
  expect(status, stderr).toBe(0);
  expect(loaded).toContain(join(ROOT, "dist", "cli", "program.js"));
  expect(
    loaded.filter((path) =>
      /\/zod\/|\/dist\/(?!cli\/|errors|node-version|package-version|run\/engine\/patience|run\/events\/timed)/.test(
        path,
      ),
    ),
  ).toEqual([]);
  expect(loaded.filter((path) => path.includes("/dist/cli/commands/"))).toEqual([]);
});
