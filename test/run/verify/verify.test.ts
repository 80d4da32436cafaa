import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findPackage } from "../../../src/run/verify/runtime/find-package.js";
import { crossblockHere } from "../../fixtures/in-process/cli-in-process.js";
import { library } from "../../fixtures/in-process/library.js";
import {
  type ExportedResult,
  editWeights,
  exportedResult,
  flip,
  module,
  readCertificate,
  verify,
} from "../../fixtures/prepared/exported-result.js";
import { type ProgramOutcome, startProgram } from "../../fixtures/run-program.js";
import { llamaCppProject } from "../../format/judge/llama-cpp-package.js";

let made: ExportedResult;
beforeAll(async () => {
  made = await exportedResult();
});
afterAll(() => made[Symbol.dispose]());

describe("verify", () => {
  it("writes the report again where it is as it was written, and leaves one that somebody changed or removed", async () => {
    const path = join(made.result, "report.html");
    const written = readFileSync(path, "utf8");
    await verify({ result: made.result, runtimes: false });
    const again = readFileSync(path, "utf8");
    expect(again).not.toBe(written);
    writeFileSync(path, again.replace("</main>", "<p>a note of mine</p></main>"));
    await verify({ result: made.result, runtimes: false });
    expect(readFileSync(path, "utf8")).toContain("a note of mine");
    rmSync(path);
    expect((await verify({ result: made.result, runtimes: false })).agrees).toBe(true);
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, again);
  });

  it("certifies a sound result, with the hashes of every file", async () => {
    expect(await verify({ result: made.result })).toEqual({ agrees: true, disagreements: [] });
    const { agrees, exports } = readCertificate(made.result);
    expect(agrees).toBe(true);
    const hashes = exports.map(({ tensors }) => tensors.find(({ source }) => source === module)?.hash);
    expect(hashes[0]?.codes).toMatch(/^[0-9a-f]{64}$/);
    expect(hashes).toEqual([hashes[0], hashes[0], hashes[0], hashes[0]]);
    for (const { bytes, plannedBytes, untouched } of exports) {
      expect(bytes).toBe(plannedBytes);
      expect(untouched).toEqual({ comparedWith: "source model", tensors: 6 });
    }
    const page = readFileSync(join(made.result, "certificate.md"), "utf8");
    const ran = exports.some(({ runtimesAgree }) => runtimesAgree !== null);
    expect(page).toContain(`# Certificate: ${ran ? "files and runtimes agree" : "files agree, no runtime ran"}\n`);
    expect(page).toMatch(/^\| gguf \| `gguf\/sotu-llama-7m-W4A16g64-Q4_0\.gguf` \| agree \|/m);
    expect(page).toMatch(/^- quality was not measured/m);
    const files = readdirSync(made.result, { recursive: true, withFileTypes: true }).filter((found) => found.isFile());
    expect(files.length).toBeGreaterThan(15);
    for (const { parentPath, name } of files) {
      // A folder that no file should tell of; the weights are read too.
      expect(readFileSync(join(parentPath, name)).includes(made.scratch), name).toBe(false);
    }
  });

  const onnxRuntime = findPackage("onnxruntime-node");
  it.skipIf(onnxRuntime === null)(
    `lets onnxruntime judge the ONNX files${onnxRuntime === null ? " (skipped: onnxruntime-node is not installed)" : ""}`,
    async () => {
      expect(await verify({ result: made.result, format: ["onnx"] })).toEqual({ agrees: true, disagreements: [] });
      const runtime = readCertificate(made.result).exports[1]?.runtime;
      if (runtime === undefined || !("asWritten" in runtime)) throw new Error(JSON.stringify(runtime));
      const { asWritten, sameWeights, texts } = runtime;
      expect(Math.abs(asWritten.perplexity / asWritten.referencePerplexity - 1)).toBeLessThan(0.01);
      expect(sameWeights?.divergence).toBeLessThan(1e-9);
      expect(sameWeights?.largestDifference).toBeLessThan(1e-3);
      expect(texts?.compared).toBe(findPackage("@huggingface/transformers") === null ? undefined : 28);
    },
  );

  it.skipIf(onnxRuntime === null || findPackage("@huggingface/transformers") === null)(
    "compares tokens where the result's path is relative too: of two names it looks like one on the hub",
    async () => {
      const [cwd, name] = [dirname(made.result), basename(made.result)];
      const { code, stderr } = await crossblockHere(["verify", name, "--format", "onnx"], cwd);
      expect(code, stderr).toBe(0);
      const runtime = readCertificate(made.result).exports[1]?.runtime;
      expect(runtime).toMatchObject({ texts: { compared: 28, different: 0 } });
    },
  );

  const project = llamaCppProject();
  it.skipIf(project === null)(
    `lets llama.cpp judge the GGUF file${project === null ? " (skipped: node-llama-cpp is not installed)" : ""}`,
    async () => {
      const { code, stderr } = await startProgram([
        "verify",
        made.result,
        "--format",
        "gguf",
        "--project",
        project ?? "",
      ]).ended;
      expect(code, stderr).toBe(0);
      const runtime = readCertificate(made.result).exports[1]?.runtime;
      if (runtime === undefined || !("asWritten" in runtime)) throw new Error(JSON.stringify(runtime));
      const { asWritten, sameWeights, texts } = runtime;
      expect(Math.abs(asWritten.perplexity / asWritten.referencePerplexity - 1)).toBeLessThan(0.01);
      expect(asWritten.divergence).toBeLessThan(2e-3);
      expect(sameWeights?.divergence).toBeLessThan(1e-5);
      expect(sameWeights?.topAgreement).toBeGreaterThan(0.98);
      expect(texts).toEqual({ compared: 28, different: 0 });
    },
  );

  it("is not there already for the command that made it where an export is cut off", async () => {
    const folder = made.copied("cut export");
    truncateSync(made.ggufOf(folder), 4096);
    const again = library.quantize({ ...made.making, out: folder });
    await expect(again.next()).rejects.toThrow(/it is damaged/);
  });

  it("does not blame an export for the result's own damage", async () => {
    const folder = made.copied("damaged result");
    editWeights(folder, (part) => {
      flip(part(`${module}.weight_packed`), 1000);
      flip(part("model.norm.weight"), 10);
    });
    const { disagreements } = await verify({ result: folder });
    expect(disagreements.map(({ format, tensor }) => [format, tensor])).toEqual([
      ["compressed-tensors", module],
      ["compressed-tensors", "model.norm.weight"],
    ]);
    const statuses = readCertificate(folder).exports.map(({ tensors }) =>
      [module, "model.norm.weight"].map((name) => tensors.find(({ source }) => source === name)?.status),
    );
    expect(statuses.slice(1)).toEqual([
      ["same", "unchecked"],
      ["same", "unchecked"],
      ["same", "unchecked"],
    ]);
  });

  it("exits with 1 when something disagrees, with 2 when there is nothing to check", async () => {
    const run = (...args: string[]): Promise<ProgramOutcome> => crossblockHere(["verify", ...args]);
    const folder = made.copied("for the command");
    editWeights(join(folder, "gptq"), (part) => flip(part(`${module}.qweight`), 1000));
    const wrong = await startProgram(["verify", folder, "--format", "gptq"]).ended;
    expect(wrong.stdout).toMatch(/gptq: model\.layers\.1\.mlp\.up_proj: code \d+ instead of/);
    expect(wrong.code).toBe(1);
    const lines = (await run(folder, "--format", "gptq", "--json")).stdout.trim().split("\n");
    const events = lines.map((line) => JSON.parse(line) as { event: string; agrees?: boolean });
    expect(events.slice(-2)).toMatchObject([{ event: "certified", agrees: false }, { event: "done" }]);
    expect(await run(made.model)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is no result.*\n.*\n +next:/),
    });
    const bare = made.copied("without gptq");
    rmSync(join(bare, "gptq"), { recursive: true });
    const absent = await run(bare, "--format", "gptq");
    expect(absent.stderr).toMatch(/no export of this format\n +next: write it with: crossblock export/);
    expect(absent.code).toBe(2);
  });
});
