import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../../src/checkpoint/checkpoint.js";
import { compareLogits, type LogitsComparison } from "../../../src/evaluate/compare-logits.js";
import { floatsFromBytes } from "../../../src/format/bits/float-bytes.js";
import { viewInt32 } from "../../../src/format/bits/typed-view.js";
import { writeGguf } from "../../../src/format/gguf/write.js";
import { openLlamaCpp } from "../../../src/run/verify/runtime/llama-cpp.js";
import { rtnSource } from "../rtn-source.js";
import { judgePython, missingPackage } from "./judge.js";
import { importLlamaCpp } from "./llama-cpp-package.js";

const llamaCpp = await importLlamaCpp();
const missing = llamaCpp === null ? " (skipped: node-llama-cpp is not installed)" : missingPackage("transformers");
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gguf-families-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

function runPython(...args: readonly string[]): readonly { readonly name: string }[] {
  const { status, stdout, stderr } = spawnSync(judgePython, args, { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line) as { name: string });
}

describe.skipIf(missing !== "")(`llama.cpp computes what transformers computes${missing}`, () => {
  it("every family, with biases, wide heads and all rotary scalings", async () => {
    if (llamaCpp === null) return;
    const address = "test/fixtures/address.txt";
    runPython("bench/judge/make_tokenizers.py", join(scratch, "tokenizers"), address, "--", address);
    const models = runPython("bench/judge/make_models.py", scratch, join(scratch, "tokenizers", "gpt-2"));
    expect(models.length).toBe(11);
    const table: Record<string, LogitsComparison> = {};
    for (const { name } of models) {
      const folder = join(scratch, name);
      using source = await rtnSource(folder, { schemeOf: () => null });
      const path = join(folder, "model.gguf");
      await writeGguf(source, path);
      using expected = await Checkpoint.open(join(folder, "logits"));
      const ids = [...viewInt32(await expected.read("ids"))];
      const reference = floatsFromBytes(await expected.read("logits"), "F32", "logits");
      await using runtime = await openLlamaCpp(llamaCpp, path);
      const logits = await runtime.logits(ids, reference.length / ids.length);
      table[name] = compareLogits(logits, reference, ids);
    }
    console.table(table);
    for (const [name, { largestDifference, topAgreement, divergence }] of Object.entries(table)) {
      // The weights are fp32 in both: what is left is llama.cpp's fp16 key-value cache.
      expect(divergence, name).toBeLessThan(1e-5);
      expect(largestDifference, name).toBeLessThan(0.05);
      expect(topAgreement, name).toBeGreaterThan(0.97);
    }
  });
});
