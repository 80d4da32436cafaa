import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../../checkpoint/json/json.js";
import type { GgufValue } from "../file/layout.js";
import { ggufTokenizer } from "./tokenizer.js";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "crossblock-gguf-tokenizer-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const bpe = { type: "BPE", vocab: { a: 0, b: 1, ab: 2, "\u0120a": 3 }, merges: ["a b"] };

function tokenizer(
  file: JsonObject,
  settings: JsonObject = {},
  config: JsonObject = {},
  size = 6,
): { keys: Map<string, unknown>; notes: readonly string[] } {
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify({ pre_tokenizer: byteLevel, model: bpe, ...file }));
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(settings));
  const plain = (value: GgufValue): unknown => (value.type === "array" ? value.values : value.value);
  const { keys, notes } = ggufTokenizer(folder, config, size);
  return { keys: new Map([...keys].map(([key, value]) => [key, plain(value)])), notes };
}

function metadata(...given: Parameters<typeof tokenizer>): Map<string, unknown> {
  return tokenizer(...given).keys;
}

describe("byte-level vocabularies", () => {
  it("fill the embedding's rows: added tokens over the vocabulary, padding where nothing is", () => {
    const added_tokens = [
      { id: 4, content: "<|end|>", special: true },
      { id: 5, content: "<tool>", special: false },
    ];
    const keys = metadata({ added_tokens }, {}, {}, 7);
    expect(keys.get("tokenizer.ggml.model")).toBe("gpt2");
    expect(keys.get("tokenizer.ggml.pre")).toBe("gpt-2");
    expect(keys.get("tokenizer.ggml.tokens")).toEqual(["a", "b", "ab", "\u0120a", "<|end|>", "<tool>", "[PAD6]"]);
    expect(keys.get("tokenizer.ggml.token_type")).toEqual([1, 1, 1, 1, 3, 4, 5]);
    expect(() => metadata({ added_tokens }, {}, {}, 3)).toThrow(/id 3, but the embedding has 3 rows.*Next: /);
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
    const named = { bos_token: "<s>", eos_token: "</s>" };
    const vocab = { a: 0, b: 1, "<s>": 2, "</s>": 3, "[CLS]": 4 };
    const around = (file: JsonObject, settings: JsonObject = {}): unknown[] => {
      const { keys, notes } = tokenizer({ model: { ...bpe, vocab, merges: [] }, ...file }, { ...named, ...settings });
      const told = notes.filter((note) => /before a text|behind a text/.test(note)).length;
      return [keys.get("tokenizer.ggml.add_bos_token"), keys.get("tokenizer.ggml.add_eos_token"), told];
    };
    expect(around(template(special("<s>"), text))).toEqual([true, false, 0]);
    expect(around(template(text, special("</s>")))).toEqual([false, true, 0]);
    expect(around(template(special("<s>"), text, special("</s>")))).toEqual([true, true, 0]);
    expect(around(template(text), { add_bos_token: true })).toEqual([false, false, 0]);
    expect(around({}, { add_bos_token: true })).toEqual([true, false, 0]);
    expect(around({})).toEqual([false, false, 0]);
    const roberta = { type: "RobertaProcessing", cls: ["<s>", 2], sep: ["</s>", 3] };
    expect(around({ post_processor: roberta })).toEqual([true, true, 0]);
    // Another token than the start token: llama.cpp would put the start token there.
    expect(around(template(special("[CLS]"), text))).toEqual([false, false, 1]);
    expect(around(template(special("<s>"), special("[CLS]"), text, special("[CLS]")))).toEqual([false, false, 2]);
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
    const both = metadata({}, { chat_template: list });
    expect(both.get("tokenizer.chat_template")).toBe("{{ d }}");
    expect(both.get("tokenizer.chat_template.tool_use")).toBe("{{ c }}");
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

  it.each<[name: string, file: JsonObject, message: RegExp]>([
    ["two tokens with one id", { model: { ...bpe, vocab: { a: 0, b: 0 }, merges: [] } }, /"a" and "b" have one id, 0/],
    [
      "an id that the Rust library would not give",
      { added_tokens: [{ id: 2, content: "<x>" }] },
      /"<x>" has the id 2 .* gives it 4/,
    ],
    ["a suffix of words", { model: { ...bpe, end_of_word_suffix: "</w>" } }, /prefix or suffix of its own/],
  ])("refuses %s", (_name, file, message) => {
    expect(() => metadata(file)).toThrow(message);
    expect(() => metadata(file)).toThrow(/tokenizer.json: .*Next: /);
  });

  it("tells what a file can't express, and only that", () => {
    const alphabet = Object.fromEntries(
      Array.from({ length: 256 }, (_, byte) => {
        const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
        return printable
          ? String.fromCharCode(byte)
          : String.fromCharCode(256 + (byte < 33 ? byte : byte < 161 ? byte - 94 : 67));
      }).map((character, id) => [character, id]),
    );
    expect(Object.keys(alphabet)).toHaveLength(256);
    const model = { ...bpe, vocab: alphabet, merges: [] };
    const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    const notes = (...tokens: JsonObject[]): readonly string[] =>
      tokenizer({ model, added_tokens: tokens.map((token, i) => ({ ...plain, id: 256 + i, ...token })) }, {}, {}, 258)
        .notes;
    expect(notes({ content: "<x>" }, { content: "<y>", special: false })).toEqual([]);
    expect(notes({ content: "<x>", single_word: true })).toEqual([
      'The added token "<x>" is a whole word in the tokenizer; llama.cpp finds it inside words as well.',
    ]);
    expect(notes({ content: "<x>", lstrip: true }, { content: "<y>", rstrip: true })).toEqual([
      'The added tokens "<x>", "<y>" take the white space beside them along; llama.cpp keeps that white space as tokens.',
    ]);
    expect(notes({ content: "<x>" }, { content: "<y>" }, { content: "[PAD]" })).toEqual([
      'The added token "[PAD]" is left out: the embedding has no row for it.',
    ]);
    expect(tokenizer({ model, normalizer: { type: "NFC" } }, {}, {}, 256).notes).toEqual([
      expect.stringContaining("composes characters (NFC)"),
    ]);
    expect(tokenizer({}).notes).toEqual([expect.stringContaining("lacks 254 of the 256 bytes")]);
  });

  it("leaves a token without a row out of every key", () => {
    const added_tokens = [{ id: 4, content: "[PAD]", special: true }];
    const { keys } = tokenizer({ added_tokens }, { pad_token: "[PAD]" }, {}, 4);
    expect(keys.get("tokenizer.ggml.tokens")).toEqual(["a", "b", "ab", "\u0120a"]);
    expect(keys.has("tokenizer.ggml.padding_token_id")).toBe(false);
    expect(() => metadata({ added_tokens }, { bos_token: "[PAD]" }, {}, 4)).toThrow(/every text begins with .*Next: /);
  });

  it("never gives two ids one text", () => {
    const vocab = { a: 0, "[PAD2]": 1 };
    expect(metadata({ model: { ...bpe, vocab, merges: [] } }, {}, {}, 3).get("tokenizer.ggml.tokens")).toEqual([
      "a",
      "[PAD2]",
      "[[PAD2]]",
    ]);
  });

  it("asks for a tokenizer.json where there is none", () => {
    expect(() => ggufTokenizer(folder, {}, 4)).toThrow(/no tokenizer.json.*Next: /);
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

  const prefix = (file: JsonObject): unknown =>
    metadata({ model, ...file }, {}, {}, size).get("tokenizer.ggml.add_space_prefix");

  it("put a space in front only where the tokenizer does", () => {
    const replace = { type: "Replace", pattern: { String: " " }, content: "\u2581" };
    const prepend = { type: "Prepend", prepend: "\u2581" };
    const normalizer = { type: "Sequence", normalizers: [prepend, replace] };
    expect(prefix({ pre_tokenizer: null, normalizer })).toBe(true);
    expect(prefix({ pre_tokenizer: null, normalizer: replace })).toBe(false);
    const split = { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious" };
    expect(prefix({ pre_tokenizer: split, normalizer: replace })).toBe(false);
    expect(() => prefix({ pre_tokenizer: split })).toThrow(/no such step.*Split.*Next: /);
    expect(prefix({ pre_tokenizer: { ...metaspace, prepend_scheme: "never" } })).toBe(false);
    expect(prefix({ pre_tokenizer: { type: "Metaspace", replacement: "\u2581", add_prefix_space: true } })).toBe(true);
  });

  it("take the library's defaults, and a space that the normalizer has put", () => {
    expect(prefix({ pre_tokenizer: { type: "Metaspace", replacement: "\u2581" } })).toBe(true);
    const never = { type: "Metaspace", replacement: "\u2581", prepend_scheme: "never", split: false };
    expect(prefix({ pre_tokenizer: never, normalizer: { type: "Prepend", prepend: "\u2581" } })).toBe(true);
  });

  it("tell where llama.cpp puts spaces and merges differently", () => {
    const merges = ["a b", "\u2581 ab"];
    const clean = { ...model, merges };
    const told = (change: JsonObject): readonly string[] => tokenizer({ model: clean, ...change }, {}, {}, size).notes;
    const scheme = (name: string, split = false): JsonObject => ({ ...metaspace, prepend_scheme: name, split });
    expect(told({ pre_tokenizer: scheme("never") })).toEqual([]);
    expect(told({ pre_tokenizer: scheme("first") })).toEqual([expect.stringMatching(/"first".*"a<s>b" as "a<s> b"/)]);
    expect(told({ pre_tokenizer: scheme("always") })).toEqual([
      expect.stringMatching(/"always".*doubles the space of " a"/),
    ]);
    const prepend = { type: "Prepend", prepend: "\u2581" };
    const replace = { type: "Replace", pattern: { String: " " }, content: "\u2581" };
    const legacy = { pre_tokenizer: null, normalizer: { type: "Sequence", normalizers: [prepend, replace] } };
    expect(told(legacy)).toEqual([]);
    const token = {
      id: 262,
      content: "<u>",
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: true,
      special: false,
    };
    const withToken = tokenizer({ model: clean, ...legacy, added_tokens: [token] }, {}, {}, 263).notes;
    expect(withToken).toEqual([expect.stringMatching(/"<u>" is looked for in the normalized text/)]);
    // Two marks in one token: never merged where words are split.
    const double = { ...vocab, "\u2581\u2581": 262 };
    const doubled = { ...model, vocab: double, merges: [...merges, "\u2581 \u2581"] };
    const split = tokenizer({ model: doubled, pre_tokenizer: scheme("never", true) }, {}, {}, 263).notes;
    expect(split).toEqual([expect.stringMatching(/never merges across spaces/)]);
    // No merge makes "ab": llama.cpp makes it all the same.
    const unmerged = { ...model, merges: ["\u2581 a"], vocab: { ...vocab, "\u2581a": 262 } };
    const apart = tokenizer({ model: unmerged, pre_tokenizer: scheme("never") }, {}, {}, 263).notes;
    expect(apart).toEqual([expect.stringMatching(/merges any two tokens .*"ab", "▁ab"/)]);
  });

  it.each([
    [
      "whole words first",
      { model: { ...model, ignore_merges: true }, pre_tokenizer: metaspace },
      /takes whole words first/,
    ],
    ["a step of its own", { pre_tokenizer: byteLevel }, /no such step.*ByteLevel/],
    ["spaces left alone", { pre_tokenizer: null }, /does not turn spaces into U\+2581/],
    ["missing byte tokens", { model: { ...model, vocab: { a: 0 } }, pre_tokenizer: metaspace }, /this one has 0/],
  ])("refuse %s", (_name, file, message) => {
    expect(() => metadata({ model, ...file } as JsonObject, {}, {}, size)).toThrow(message);
  });
});
