import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PRE_TOKENIZERS } from "../../src/format/gguf/pre-tokenizers.js";
import { GgufFile } from "../../src/format/gguf/read.js";
import { writeGguf } from "../../src/format/gguf/write.js";
import { openLlamaCpp } from "../../src/run/verify/llama-cpp.js";
import { judgePython, missingPackage } from "./judge.js";
import { importLlamaCpp } from "./llama-cpp-package.js";
import { memorySource } from "./memory-source.js";

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
async function writeVocabulary(folder: string, vocabulary: number): Promise<string> {
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
  await writeGguf(memorySource({ folder, config, weights: new Map(), plain }), path);
  return path;
}

describe.skipIf(missing !== "")(`llama.cpp cuts text like the tokenizer that a file was made from${missing}`, () => {
  it("every pre-tokenizer of the table, and SentencePiece vocabularies", async () => {
    if (llamaCpp === null) return;
    const script = ["bench/judge/make_tokenizers.py", scratch, "test/fixtures/address.txt", "--", ...texts];
    const made = spawnSync(judgePython, script, { encoding: "utf8" });
    expect(made.status, made.stderr).toBe(0);
    const kinds = made.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { name: string; vocabulary: number });
    expect(kinds.map(({ name }) => name)).toEqual(expect.arrayContaining(PRE_TOKENIZERS.map(({ pre }) => pre)));
    for (const { name, vocabulary } of kinds) {
      const folder = join(scratch, name);
      const path = await writeVocabulary(folder, vocabulary);
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
});
