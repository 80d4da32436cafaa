import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
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

const llamaCpp = await importLlamaCpp();
const goldens = join(import.meta.dirname, "../../../../shared/goldens");
const names = existsSync(goldens)
  ? readdirSync(goldens).filter((name) => existsSync(join(goldens, name, "config.json")))
  : [];
const missing =
  llamaCpp === null
    ? " (skipped: node-llama-cpp is not installed)"
    : names.length === 0
      ? " (skipped: shared/goldens is not on this machine)"
      : "";
const only = process.env["CROSSBLOCK_JUDGE_GOLDEN"];

/** Why a network is refused, by its folder; those whose numbers llama.cpp's graph fixes otherwise get numbers that it has. */
const changed: Readonly<Record<string, ModelConfig>> = {
  gemma2: { query_pre_attn_scalar: 16 },
  gemma3_text: { query_pre_attn_scalar: 16 },
  deepseek_v2: { topk_method: "greedy" },
  llama4_text: { attention_chunk_size: 8192 },
  // Beyond its original context llama.cpp takes the long divisors for all of a context.
  phi3_longrope: {
    ...{ max_position_embeddings: 8192, original_max_position_embeddings: 4096 },
    rope_parameters: {
      ...{ rope_theta: 10000, rope_type: "longrope", partial_rotary_factor: 1, original_max_position_embeddings: 4096 },
      long_factor: [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7],
      short_factor: [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
    },
  },
  // As llama.cpp rounds it.
  gpt_oss: {
    rope_parameters: {
      ...{ beta_fast: 32, beta_slow: 1, factor: 4, original_max_position_embeddings: 32 },
      ...{ rope_theta: 150000, rope_type: "yarn", truncate: true },
    },
  },
  exaone4: {
    sliding_window: null,
    layer_types: ["full_attention", "full_attention", "full_attention", "full_attention"],
  },
};
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

/** A byte-level vocabulary without merges, as large as the networks': the first of GPT-2's signs for bytes. */
function writeTokenizer(folder: string, size: number): void {
  const printable = [
    ...Array.from({ length: 94 }, (_, i) => 33 + i),
    ...Array.from({ length: 200 }, (_, i) => 256 + i),
  ];
  const vocab = Object.fromEntries(printable.slice(0, size).map((code, id) => [String.fromCodePoint(code), id]));
  const tokenizer = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    post_processor: null,
    model: { type: "BPE", vocab, merges: [] },
  };
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  writeFileSync(join(folder, "tokenizer_config.json"), "{}");
}

describe.skipIf(missing !== "")(`llama.cpp computes what our network computes${missing}`, () => {
  const all = [...names.map((name) => [name, name, changed[name] ?? {}] as const), ...variants];
  const inTowers = Object.entries(towers).map(
    ([title, tower]) =>
      [`${title}, a part of a larger model`, tower.golden, changed[tower.golden] ?? {}, tower] as const,
  );
  const known = [...all.map((each) => [...each, null] as const), ...inTowers].filter(
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
    writeTokenizer(folder, 160);
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
    const ids = Array.from({ length: Math.min(40, contextLength) }, (_, i) => (i * 37 + 5) % 160);
    // Rounded inputs send tokens to other experts, and add up in a state: there, weights are fp32 in what is computed.
    const exact = sourceSpec(source).blocks.some(
      ({ mlp, attention }) =>
        mlp.kind === "experts" || attention.kind === "delta" || sourceSpec(source).family === "gemma4_text",
    );
    if (exact) await writeGguf(widened(decodedSource(source)), path);
    await using runtime = await openLlamaCpp(llamaCpp, path);
    const logits = await runtime.logits(ids, 160);
    using network = await ourNetwork(source);
    const ours = ourLogits(network, [ids]);
    const { divergence, largestDifference, topAgreement } = compareLogits(logits, ours, ids);
    const largest = ours.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
    console.log(title, { divergence, largestDifference, topAgreement, largest });
    // llama.cpp rounds inputs of quantized products to 8 bits; another window, norm or order costs far more.
    expect(divergence).toBeLessThan(exact ? 1e-4 : 5e-3);
  });
});
