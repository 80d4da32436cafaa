import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Tokenizer } from "../../../src/checkpoint/tokenizer/tokenizer.js";
import { GgufFile } from "../../../src/format/gguf/read.js";
import { PRE_TOKENIZERS } from "../../../src/format/gguf/tokenizer/pre-tokenizers.js";
import { writeGguf } from "../../../src/format/gguf/write.js";
import { compareTokens } from "../../../src/run/verify/runtime/compare-tokens.js";
import { openLlamaCpp } from "../../../src/run/verify/runtime/llama-cpp.js";
import { tokenTexts } from "../../../src/run/verify/runtime/token-texts.js";
import { memorySource } from "../memory-source.js";
import { judgePython, missingPackage } from "./judge.js";
import { importLlamaCpp } from "./llama-cpp-package.js";

const llamaCpp = await importLlamaCpp();
const missing = llamaCpp === null ? " (skipped: node-llama-cpp is not installed)" : missingPackage("tokenizers");
const texts = ["test/fixtures/tokenizer-text.txt", "test/fixtures/address.txt"];
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gguf-tokenizers-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** A Llama of one layer with nothing in it, so that a file can carry the vocabulary. */
async function writeVocabulary(
  folder: string,
  vocabulary: number,
): Promise<{ readonly path: string; readonly notes: readonly string[] }> {
  const config = {
    model_type: "llama",
    hidden_size: 32,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    vocab_size: vocabulary,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
  };
  const zeros = (...shape: number[]): { shape: number[]; values: number[] } => ({
    shape,
    values: new Array<number>(shape.reduce((product, size) => product * size, 1)).fill(0),
  });
  const modules = ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"];
  const layer = "model.layers.0";
  const plain = Object.fromEntries([
    ["model.embed_tokens.weight", zeros(vocabulary, 32)],
    ["model.norm.weight", zeros(32)],
    [`${layer}.input_layernorm.weight`, zeros(32)],
    [`${layer}.post_attention_layernorm.weight`, zeros(32)],
    ...modules.map((module) => [`${layer}.${module}_proj.weight`, zeros(32, 32)] as const),
  ]);
  const path = join(folder, "vocabulary.gguf");
  const { notes } = await writeGguf(memorySource({ folder, config, weights: new Map(), plain }), path);
  return { path, notes };
}

interface TokenizerJson {
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
  readonly added_tokens: readonly object[];
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (readonly [string, string])[];
  };
}

const space = "\u2581";
const metaspace = (scheme: string, split = false): object => ({
  type: "Metaspace",
  replacement: space,
  prepend_scheme: scheme,
  split,
});
const replace = { type: "Replace", pattern: { String: " " }, content: space };
const prepend = { type: "Prepend", prepend: space };
const legacy = { pre_tokenizer: null, normalizer: { type: "Sequence", normalizers: [prepend, replace] } };

/** Adds a token that the vocabulary does not have. */
const added =
  (content: string, flags: object = {}) =>
  (json: TokenizerJson): TokenizerJson => {
    const id = Math.max(...Object.values(json.model.vocab)) + 1;
    const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
    return { ...json, added_tokens: [...json.added_tokens, { ...plain, id, content, ...flags }] };
  };
const withSteps =
  (steps: object) =>
  (json: TokenizerJson): TokenizerJson => ({ ...json, ...steps });

/** Rules of a tokenizer, and whether a GGUF file can express them. */
const rules: readonly (readonly [
  name: string,
  base: string,
  change: (json: TokenizerJson) => TokenizerJson,
  expressed: boolean,
])[] = [
  ["Prepend and Replace", "spm-legacy", withSteps(legacy), true],
  ["Replace alone", "spm-legacy", withSteps({ pre_tokenizer: null, normalizer: replace }), true],
  ["Metaspace never", "spm-legacy", withSteps({ normalizer: null, pre_tokenizer: metaspace("never") }), true],
  [
    "Prepend, then Metaspace never",
    "spm-legacy",
    withSteps({ normalizer: prepend, pre_tokenizer: metaspace("never") }),
    true,
  ],
  ["Metaspace first", "spm-legacy", withSteps({ normalizer: null, pre_tokenizer: metaspace("first") }), false],
  ["Metaspace always", "spm-legacy", withSteps({ normalizer: null, pre_tokenizer: metaspace("always") }), false],
  [
    "Metaspace never, split",
    "spm-legacy",
    (json) => {
      const vocab = { ...json.model.vocab, [space + space]: Object.keys(json.model.vocab).length };
      const model = { ...json.model, vocab, merges: [...json.model.merges, [space, space] as const] };
      return { ...json, normalizer: null, pre_tokenizer: metaspace("never", true), model };
    },
    false,
  ],
  ["an added token", "spm-legacy", added("<u>"), true],
  ["a special added token", "spm-legacy", added("<u>", { special: true }), true],
  ["a normalized token behind Prepend", "spm-legacy", added("<u>", { normalized: true }), false],
  ["a token that takes space before it", "gpt-2", added("<u>", { lstrip: true }), false],
  ["a token that takes space behind it", "spm-legacy", added("<u>", { rstrip: true }), false],
  ["a whole word", "gpt-2", added("th", { single_word: true }), false],
  ["an added token of bytes", "qwen2", added("<u>"), true],
  [
    "a word without merges",
    "spm-legacy",
    (json) => {
      const merges = json.model.merges.filter(([left, right]) => left + right !== `${space}the`);
      return { ...json, model: { ...json.model, merges } };
    },
    false,
  ],
];

describe.skipIf(missing !== "")(`llama.cpp cuts text like the tokenizer that a file was made from${missing}`, () => {
  const make = (): { name: string; vocabulary: number }[] => {
    const script = ["bench/judge/make_tokenizers.py", scratch, "test/fixtures/address.txt", "--", ...texts];
    const made = spawnSync(judgePython, script, { encoding: "utf8" });
    expect(made.status, made.stderr).toBe(0);
    return made.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { name: string; vocabulary: number });
  };
  let kinds: readonly { name: string; vocabulary: number }[] = [];
  beforeAll(() => {
    kinds = make();
  });

  it("every pre-tokenizer of the table, and SentencePiece vocabularies", async () => {
    if (llamaCpp === null) return;
    expect(kinds.map(({ name }) => name)).toEqual(expect.arrayContaining(PRE_TOKENIZERS.map(({ pre }) => pre)));
    for (const { name, vocabulary } of kinds) {
      const folder = join(scratch, name);
      const { path } = await writeVocabulary(folder, vocabulary);
      using file = GgufFile.open(path);
      const pre = name.startsWith("spm") ? "default" : name;
      expect(file.metadata.get("tokenizer.ggml.pre")).toEqual({ type: "string", value: pre });
      await using runtime = await openLlamaCpp(llamaCpp, path, { vocabOnly: true });
      const expected = JSON.parse(readFileSync(join(folder, "ids.json"), "utf8")) as number[][];
      for (const [i, text] of texts.entries()) {
        const content = readFileSync(text, "utf8");
        // Qwen's tokenizer composes characters first; llama.cpp leaves that to whoever gives it text.
        const given = name === "qwen2" ? content.normalize("NFC") : content;
        expect(runtime.tokenize(given), `${name}, ${text}`).toEqual(expected[i]);
      }
    }
  });

  it.each(rules)("or says that it does not: %s", async (name, base, change, expressed) => {
    if (llamaCpp === null) return;
    const folder = join(scratch, name.replaceAll(" ", "-"));
    cpSync(join(scratch, base), folder, { recursive: true });
    const file = join(folder, "tokenizer.json");
    const json = change(JSON.parse(readFileSync(file, "utf8")) as TokenizerJson);
    writeFileSync(file, JSON.stringify(json));
    const tokenizer = await Tokenizer.open(folder);
    const { path, notes } = await writeVocabulary(folder, tokenizer.vocabSize);
    await using runtime = await openLlamaCpp(llamaCpp, path, { vocabOnly: true });
    const compared = tokenTexts(tokenizer).map((text) => ({ text, ids: [...tokenizer.encode(text)] }));
    const found = compared.map(({ text }) => runtime.tokenize(text, true));
    const { verdict, disagreements } = compareTokens("llama.cpp", compared, found);
    expect(verdict.compared).toBeGreaterThan(20);
    if (expressed) {
      expect(disagreements).toEqual([]);
      expect(notes.filter((note) => !note.includes("NFC"))).toEqual([]);
    } else {
      expect(verdict.different).toBeGreaterThan(0);
      expect(notes.length).toBeGreaterThan(0);
    }
  });
});
