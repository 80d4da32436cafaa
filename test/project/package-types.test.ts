import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript-5.9";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codeBlocks } from "../../scripts/newcomer/code-blocks.mjs";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const USE = `import { evaluate, quantize, exportResult, type QuantizeOptions } from "crossblock";
export const options: QuantizeOptions = {
  model: "m", scheme: "W4A16g64", out: "o", calibration: "texts/", format: "gguf", samples: 8,
  window: { epochs: 2 }, rounding: { kind: "lora" }, overrides: [{ pattern: "*.down_proj", bits: 8 }] as const,
};
export async function all(signal: AbortSignal): Promise<number> {
  for await (const event of quantize({ ...options, calibration: ["a", "b"] as readonly string[], signal })) {
    if (event.event === "window-done") console.log(event.lossAfter?.total);
  }
  for await (const event of exportResult({ result: "o", format: "onnx" })) if (event.event === "exported") return event.bytes;
  return (await evaluate("o", { text: "held-out.txt" })).value;
}
// @ts-expect-error no such width
export const wide: QuantizeOptions["scheme"] = "W99A16";
// @ts-expect-error no such option
export const more: QuantizeOptions = { model: "m", scheme: "W4A4", out: "o", sample: 3 };
// @ts-expect-error no such format
export const other: QuantizeOptions = { model: "m", scheme: "W4A4g8", out: "o", format: "ggfu" };
`;
const COMPILERS = { "5.7": "typescript-5.7/lib/tsc.js", "5.9": "typescript-5.9/lib/tsc.js", "7": "typescript/bin/tsc" };

/** A project that has the package by its name, with the types that users get. */
let folder: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  folder = temporaryFolder();
  mkdirSync(join(folder.path, "node_modules"));
  symlinkSync(ROOT, join(folder.path, "node_modules", "crossblock"));
  writeFileSync(join(folder.path, "package.json"), JSON.stringify({ type: "module" }));
});
afterAll(() => folder[Symbol.dispose]());

function compiled(compiler: string, files: readonly string[], more: readonly string[] = []): string {
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noEmit"];
  const settings = [...strict, "--skipLibCheck", "false", "--module", "nodenext", "--target", "es2022", ...more];
  const tsc = join(ROOT, "node_modules", compiler);
  const { stdout, stderr } = spawnSync(process.execPath, [tsc, ...settings, ...files], {
    cwd: folder.path,
    encoding: "utf8",
  });
  return `${stdout}${stderr}`;
}

describe("the package's types", () => {
  it.each(Object.entries(COMPILERS))(
    "are taken by TypeScript %s, strict, without types of Node",
    (_version, compiler) => {
      writeFileSync(join(folder.path, "use.ts"), USE);
      expect(compiled(compiler, ["use.ts"])).toBe("");
    },
  );

  it("are one file, which leads to no package", () => {
    const declarations = readdirSync(join(ROOT, "dist"), { recursive: true }).map(String);
    expect(declarations.filter((name) => name.endsWith(".d.ts"))).toEqual(["index.d.ts"]);
    expect(readFileSync(join(ROOT, "dist", "index.d.ts"), "utf8")).not.toMatch(/^import |from "/m);
  });
});

describe("an editor", () => {
  const file = (): string => join(folder.path, "edited.ts");
  function service(text: string): ts.LanguageService {
    return ts.createLanguageService({
      getCompilationSettings: () => ({ module: ts.ModuleKind.NodeNext, strict: true, types: [] }),
      getScriptFileNames: () => [file()],
      getScriptVersion: () => "1",
      getScriptSnapshot: (name) => {
        const content = name === file() ? text : ts.sys.readFile(name);
        return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content);
      },
      getCurrentDirectory: () => folder.path,
      getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
      fileExists: (name) => name === file() || ts.sys.fileExists(name),
      readFile: ts.sys.readFile,
      directoryExists: ts.sys.directoryExists,
    });
  }
  const given = `import { quantize } from "crossblock";
quantize({ model: "m", scheme: "W4A16g64", out: "o", samples: 3, finish: "none", window: { epochs: 3, loss: { klWeight: 1 } }, rounding: { kind: "lora" } });
`;

  it.each([
    [
      "samples",
      /Calibration sequences\. An integer of at least 1\./,
      "128; 22 with --effort quick; 512 with --effort best",
      /--samples <n>/,
    ],
    [
      "finish",
      /End-to-end training after the last window/,
      '"auto"; "none" with --preset paper; "none" with --effort quick',
      /--finish <stage>/,
    ],
    ["window", /Windows of blocks that are reconstructed together/, null, null],
    [
      "epochs",
      /Passes over the calibration sequences, per window/,
      "10; 3 with --preset paper; 2 with --effort quick; 20 with --effort best",
      /--set window\.epochs=/,
    ],
    [
      "klWeight",
      /KL divergence over the hidden dimension/,
      "0; 1 with --preset paper",
      /--set window\.loss\.klWeight=/,
    ],
    ["kind", /What is trained: an offset in code units/, '"code"; "lora" with --preset paper', /--set rounding\.kind=/],
  ])("says of %s what it means, its default and its flag", (name, meaning, value, flag) => {
    const info = service(given).getQuickInfoAtPosition(file(), given.indexOf(`${name}:`));
    const text = ts.displayPartsToString(info?.documentation);
    expect(text).toMatch(meaning);
    if (flag !== null) expect(text).toMatch(flag);
    const tag = info?.tags?.find((each) => each.name === "default");
    expect(tag === undefined ? null : ts.displayPartsToString(tag.text)).toBe(value);
  });

  it("completes schemes", () => {
    const text = given.replace('"W4A16g64"', '""');
    const found = service(text).getCompletionsAtPosition(file(), text.indexOf('scheme: "') + 9, {});
    const names = found?.entries.map((entry) => entry.name) ?? [];
    expect(names).toEqual(expect.arrayContaining(["W4A16", "W4A16g64", "W2A16g128", "W4A4"]));
    expect(names.filter((each) => /^W[179]/.test(each))).toEqual([]);
  });
});

describe("every example of the pages", () => {
  const pages = ["README.md", ...readdirSync(join(ROOT, "docs", "guide")).map((name) => `docs/guide/${name}`)];
  // A file of the repository that a page shows is compiled where it lies.
  const examples = (page: string): string =>
    readFileSync(join(ROOT, page), "utf8").replaceAll(/^<!-- code: \S+ -->\n[\s\S]*?^<!-- \/code -->$/gm, "");
  const blocks = pages.flatMap((page) =>
    codeBlocks(examples(page), ["ts", "js", "typescript", "javascript"]).map((block) => ({
      page,
      ...block,
    })),
  );

  it("in TypeScript compiles", () => {
    expect(blocks.length).toBeGreaterThan(1);
    const files = blocks.map(({ page, line, code }) => {
      const name = `${page.replaceAll(/\W/g, "-")}-${line}.ts`;
      writeFileSync(join(folder.path, name), code);
      return name;
    });
    // Packages that a user adds on his own are not installed beside the tarball.
    const { peerDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const peers = Object.keys(peerDependencies).map((name) => `declare module ${JSON.stringify(name)};\n`);
    writeFileSync(join(folder.path, "peers.d.ts"), peers.join(""));
    expect(compiled(COMPILERS["7"], [...files, "peers.d.ts"])).toBe("");
  });
});
