import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../checkpoint/json.js";
import type { GgufValue } from "./layout.js";
import { tokenizerMetadata } from "./tokenizer.js";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "crossblock-gguf-tokenizer-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const bpe = { type: "BPE", vocab: { a: 0, b: 1, ab: 2, "\u0120a": 3 }, merges: ["a b"] };

function metadata(
  file: JsonObject,
  settings: JsonObject = {},
  config: JsonObject = {},
  size = 6,
): Map<string, unknown> {
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify({ pre_tokenizer: byteLevel, model: bpe, ...file }));
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(settings));
  const plain = (value: GgufValue): unknown => (value.type === "array" ? value.values : value.value);
  return new Map([...tokenizerMetadata(folder, config, size)].map(([key, value]) => [key, plain(value)]));
}

describe("byte-level vocabularies", () => {
  it("fill the embedding's rows: added tokens over the vocabulary, padding where nothing is", () => {
    const added_tokens = [
      { id: 4, content: "<|end|>", special: true },
      { id: 3, content: "<tool>", special: false },
    ];
    const keys = metadata({ added_tokens });
    expect(keys.get("tokenizer.ggml.model")).toBe("gpt2");
    expect(keys.get("tokenizer.ggml.pre")).toBe("gpt-2");
    expect(keys.get("tokenizer.ggml.tokens")).toEqual(["a", "b", "ab", "<tool>", "<|end|>", "[PAD5]"]);
    expect(keys.get("tokenizer.ggml.token_type")).toEqual([1, 1, 1, 4, 3, 5]);
    expect(() => metadata({ added_tokens }, {}, {}, 4)).toThrow(/id 4, but the embedding has 4 rows.*Next: /);
  });

  it("takes merges as pairs or lines, and no space inside a part", () => {
    const merges = [
      ["a", "b"],
      [" ", "a"],
    ];
    expect(metadata({ model: { ...bpe, merges } }).get("tokenizer.ggml.merges")).toEqual(["a b", "\u0120 a"]);
    expect(metadata({}).get("tokenizer.ggml.merges")).toEqual(["a b"]);
  });

  it("finds special tokens in the settings, then in config.json", () => {
    const vocab = { "<s>": 0, "</s>": 1, "<pad>": 2 };
    const settings = { bos_token: "<s>", eos_token: { content: "</s>", special: true } };
    const keys = metadata({ model: { ...bpe, vocab, merges: [] } }, settings, {
      eos_token_id: [2, 1],
      pad_token_id: 2,
    });
    expect(keys.get("tokenizer.ggml.bos_token_id")).toBe(0);
    expect(keys.get("tokenizer.ggml.eos_token_id")).toBe(1);
    expect(keys.get("tokenizer.ggml.padding_token_id")).toBe(2);
    expect(keys.has("tokenizer.ggml.unknown_token_id")).toBe(false);
    expect(metadata({}, {}, { eos_token_id: [3, 1] }).get("tokenizer.ggml.eos_token_id")).toBe(3);
  });

  it("adds start and end tokens where the template does, else where the settings say so", () => {
    const special = (id: string): JsonObject => ({ SpecialToken: { id, type_id: 0 } });
    const text = { Sequence: { id: "A", type_id: 0 } };
    const template = (...single: JsonObject[]): JsonObject => ({
      post_processor: { type: "Sequence", processors: [{ type: "ByteLevel" }, { type: "TemplateProcessing", single }] },
    });
    const around = (file: JsonObject, settings: JsonObject = {}): unknown[] => {
      const keys = metadata(file, settings);
      return [keys.get("tokenizer.ggml.add_bos_token"), keys.get("tokenizer.ggml.add_eos_token")];
    };
    expect(around(template(special("<s>"), text))).toEqual([true, false]);
    expect(around(template(text, special("</s>")))).toEqual([false, true]);
    expect(around(template(text), { add_bos_token: true })).toEqual([false, false]);
    expect(around({}, { add_bos_token: true })).toEqual([true, false]);
    expect(around({})).toEqual([false, false]);
  });

  it("carries the chat template: from its own file, the settings, or a list of them", () => {
    expect(metadata({}, { chat_template: "{{ a }}" }).get("tokenizer.chat_template")).toBe("{{ a }}");
    const list = [
      { name: "default", template: "{{ b }}" },
      { name: "tool_use", template: "{{ c }}" },
    ];
    const keys = metadata({}, { chat_template: list });
    expect(keys.get("tokenizer.chat_template")).toBe("{{ b }}");
    expect(keys.get("tokenizer.chat_template.tool_use")).toBe("{{ c }}");
    expect(keys.get("tokenizer.chat_templates")).toEqual(["tool_use"]);
    writeFileSync(join(folder, "chat_template.jinja"), "{{ d }}");
    expect(metadata({}, { chat_template: "{{ a }}" }).get("tokenizer.chat_template")).toBe("{{ d }}");
  });

  it.each([
    [
      "an unknown pattern",
      { pre_tokenizer: { type: "Split", pattern: { Regex: "x" }, behavior: "Isolated" } },
      /split x/,
    ],
    ["no pre-tokenizer", { pre_tokenizer: null }, /these steps: none/],
    ["a space in front", { pre_tokenizer: { ...byteLevel, add_prefix_space: true } }, /these steps: .*ByteLevel/],
    ["ignore_merges with GPT-2's pattern", { model: { ...bpe, ignore_merges: true } }, /only with ignore_merges false/],
    ["a normalizer", { normalizer: { type: "Lowercase" } }, /can't apply this normalizer.*Lowercase/],
    ["Unigram", { model: { type: "Unigram", vocab: [] } }, /no GGUF vocabulary for a Unigram tokenizer/],
    ["WordPiece", { model: { type: "WordPiece", vocab: {} } }, /no GGUF vocabulary for a WordPiece tokenizer/],
    ["a vocabulary of strings", { model: { ...bpe, vocab: { a: "0" } } }, /model.vocab.a/],
    ["added tokens without ids", { added_tokens: [{ content: "x" }] }, /added_tokens.0.id/],
  ])("refuses %s", (_name, file, message) => {
    expect(() => metadata(file as JsonObject)).toThrow(message);
    expect(() => metadata(file as JsonObject)).toThrow(/tokenizer.json: .*Next: /);
  });

  it("asks for a tokenizer.json where there is none", () => {
    expect(() => tokenizerMetadata(folder, {}, 4)).toThrow(/no tokenizer.json.*Next: /);
  });
});

describe("SentencePiece vocabularies", () => {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const vocab = Object.fromEntries(
    ["<unk>", ...bytes, "\u2581", "a", "b", "ab", "\u2581ab"].map((token, id) => [token, id]),
  );
  const model = {
    type: "BPE",
    byte_fallback: true,
    unk_token: "<unk>",
    vocab,
    merges: ["a b", "\u2581 ab", "\u2581a b"],
  };
  const metaspace = { type: "Metaspace", replacement: "\u2581", prepend_scheme: "first", split: false };
  const size = 262;

  it("score each token by the merge that makes it first", () => {
    const keys = metadata({ model, pre_tokenizer: metaspace }, {}, {}, size);
    expect(keys.get("tokenizer.ggml.model")).toBe("llama");
    const scores = keys.get("tokenizer.ggml.scores") as number[];
    expect(scores.slice(257)).toEqual([-260, -261, -262, -0, -1]);
    const types = keys.get("tokenizer.ggml.token_type") as number[];
    expect([types[0], types[1], types[256], types[257]]).toEqual([2, 6, 6, 1]);
    expect(keys.get("tokenizer.ggml.add_space_prefix")).toBe(true);
    expect(keys.get("tokenizer.ggml.unknown_token_id")).toBe(0);
  });

  it("put a space in front only where the tokenizer does", () => {
    const prefix = (file: JsonObject): unknown =>
      metadata({ model, ...file }, {}, {}, size).get("tokenizer.ggml.add_space_prefix");
    const replace = { type: "Replace", pattern: { String: " " }, content: "\u2581" };
    const prepend = { type: "Prepend", prepend: "\u2581" };
    const old = { type: "Sequence", normalizers: [prepend, replace] };
    expect(prefix({ pre_tokenizer: null, normalizer: old })).toBe(true);
    expect(prefix({ pre_tokenizer: null, normalizer: replace })).toBe(false);
    expect(prefix({ pre_tokenizer: { ...metaspace, prepend_scheme: "never" } })).toBe(false);
    expect(prefix({ pre_tokenizer: { type: "Metaspace", replacement: "\u2581", add_prefix_space: true } })).toBe(true);
  });

  it.each([
    ["a step of its own", { pre_tokenizer: byteLevel }, /no such step.*ByteLevel/],
    ["spaces left alone", { pre_tokenizer: null }, /does not turn spaces into U\+2581/],
    ["missing byte tokens", { model: { ...model, vocab: { a: 0 } }, pre_tokenizer: metaspace }, /this one has 0/],
  ])("refuse %s", (_name, file, message) => {
    expect(() => metadata({ model, ...file } as JsonObject, {}, {}, size)).toThrow(message);
  });
});
