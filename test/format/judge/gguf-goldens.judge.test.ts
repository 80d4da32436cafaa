import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ModelConfig, readModelConfig } from "../../../src/checkpoint/model-config.js";
import { CrossblockError } from "../../../src/errors.js";
import { compareLogits } from "../../../src/evaluate/compare-logits.js";
import { checkGguf } from "../../../src/format/gguf/check.js";
import { compareKeys } from "../../../src/format/gguf/network/compare/compare-keys.js";
import { GGUF_FAMILIES } from "../../../src/format/gguf/network/families.js";
import { modelShape } from "../../../src/format/gguf/network/model-shape.js";
import { GgufFile } from "../../../src/format/gguf/read.js";
import { writeGguf } from "../../../src/format/gguf/write.js";
import { decodedSource } from "../../../src/format/source/decoded-source.js";
import { sourceSpec } from "../../../src/format/source/source-spec.js";
import { openLlamaCpp } from "../../../src/run/verify/runtime/llama-cpp.js";
import { ourLogits, ourNetwork } from "../our-network.js";
import { roundedOnce, rtnSource, widened } from "../rtn-source.js";
import { towerSource, towers } from "../source/tower-source.js";
import { importLlamaCpp } from "./llama-cpp-package.js";
import { changed, goldenNames, goldens, writeTokenizer } from "./switches/networks.js";

const llamaCpp = await importLlamaCpp();
const names = goldenNames;
const missing =
  llamaCpp === null
    ? " (skipped: node-llama-cpp is not installed)"
    : names.length === 0
      ? " (skipped: shared/goldens is not on this machine)"
      : "";
const only = process.env["CROSSBLOCK_JUDGE_GOLDEN"];

/** Why a network is refused, by its folder. */
const refused: Readonly<Record<string, RegExp>> = {
  qwen3_moe: /MLPs of its blocks differ/,
};

const kinds = (pattern: string): ModelConfig => ({
  layer_types: [...pattern].map((kind) => (kind === "f" ? "full_attention" : "sliding_attention")),
});

/** Networks with the same weights whose blocks come in another order. */
const variants: readonly (readonly [name: string, golden: string, change: ModelConfig])[] = [
  ["gemma3_text, every third block full", "gemma3_text", { ...changed["gemma3_text"], ...kinds("ssfssf") }],
  ["gemma3_text, all blocks full", "gemma3_text", { ...changed["gemma3_text"], ...kinds("ffffff") }],
  ["gemma3_text, no block full", "gemma3_text", { ...changed["gemma3_text"], ...kinds("ssssss") }],
  ["gemma2, every third block full", "gemma2", { ...changed["gemma2"], ...kinds("ssfs") }],
  ["cohere2, every second block full", "cohere2", kinds("sfsf")],
  ["cohere2, no block full", "cohere2", kinds("ssss")],
  ["olmo3, every second block full", "olmo3", kinds("sfsf")],
  ["gpt_oss, every third block full", "gpt_oss", { ...changed["gpt_oss"], ...kinds("ssfs") }],
  ["gemma2, all blocks full", "gemma2", { ...changed["gemma2"], ...kinds("ffff") }],
  ["gpt_oss, all blocks full", "gpt_oss", { ...changed["gpt_oss"], ...kinds("ffff") }],
];

let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gguf-goldens-"));
});
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

describe.skipIf(missing !== "")(`llama.cpp computes what our network computes${missing}`, () => {
  const there = ([, golden]: readonly [string, string, ...unknown[]]): boolean => names.includes(golden);
  const all = [...names.map((name) => [name, name, changed[name] ?? {}] as const), ...variants.filter(there)];
  const inTowers = Object.entries(towers).map(
    ([title, tower]) =>
      [`${title}, a part of a larger model`, tower.golden, changed[tower.golden] ?? {}, tower] as const,
  );
  const known = [...all.map((each) => [...each, null] as const), ...inTowers.filter(there)].filter(
    ([, name]) => only === undefined || only.split(",").includes(name),
  );
  it.each(known)("%s", async (title, name, change, tower) => {
    if (llamaCpp === null) return;
    // llama.cpp asks for tokens of its own where a name speaks of Phi-3.
    const folder = join(scratch, `network-${known.findIndex(([each]) => each === title)}`);
    cpSync(join(goldens, name), folder, { recursive: true });
    const config = { ...(await readModelConfig(folder)), ...change };
    if (GGUF_FAMILIES[String(config["model_type"])] === undefined) return;
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
    const vocabulary = Number(config["vocab_size"]);
    writeTokenizer(folder, vocabulary);
    using rounded = await rtnSource(folder, {
      // Columns that are no whole groups, or heads narrower than a group that change places.
      schemeOf: (module) =>
        /down_proj|w2$|q_b_proj|linear_attn\.out_proj/.test(module) ? null : { bits: 4, group: 32, symmetric: true },
    });
    const source = roundedOnce(tower === null ? rounded : towerSource(rounded, tower));
    const path = join(folder, "model.gguf");
    const reason = refused[name];
    if (reason !== undefined) {
      const error: unknown = await writeGguf(source, path).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CrossblockError);
      expect(String(error)).toMatch(reason);
      return;
    }
    await writeGguf(source, path);
    const file = GgufFile.open(path);
    expect(compareKeys(file, sourceSpec(source))).toMatchObject({ status: "same" });
    for await (const check of checkGguf(file, source))
      expect([check.name, check.status, check.detail]).toEqual([check.name, "same", undefined]);
    file.close();
    // No more than the file promises.
    const { contextLength } = modelShape(sourceSpec(source));
    const ids = Array.from({ length: Math.min(40, contextLength) }, (_, i) => (i * 37 + 5) % vocabulary);
    // Rounded inputs send tokens to other experts, and add up in a state: there, weights are fp32 in what is computed.
    const exact = sourceSpec(source).blocks.some(
      ({ mlp, attention }) =>
        mlp.kind === "experts" ||
        attention.kind === "delta" ||
        attention.kind === "convolution" ||
        sourceSpec(source).family === "gemma4_text",
    );
    if (exact) await writeGguf(widened(decodedSource(source)), path);
    await using runtime = await openLlamaCpp(llamaCpp, path);
    const logits = await runtime.logits(ids, vocabulary);
    using network = await ourNetwork(source);
    const ours = ourLogits(network, [ids]);
    const { divergence, largestDifference, topAgreement } = compareLogits(logits, ours, ids);
    const largest = ours.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
    console.log(title, { divergence, largestDifference, topAgreement, largest });
    // llama.cpp rounds inputs of quantized products to 8 bits; another window, norm or order costs far more.
    expect(divergence).toBeLessThan(exact ? 1e-4 : 5e-3);
  });
});
