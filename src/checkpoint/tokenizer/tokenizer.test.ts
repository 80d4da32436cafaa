import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer as Implementation } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../errors.js";
import type { JsonObject } from "../json/json.js";
import { temporaryFolder } from "../testing/temporary-folder.js";
import { Tokenizer } from "./tokenizer.js";

interface Golden {
  readonly tokenizer: JsonObject & {
    model: { vocab: Record<string, number>; merges: string[][]; byte_fallback: boolean };
  };
  readonly texts: readonly string[];
  readonly ids: readonly (readonly number[])[];
  readonly decoded: readonly string[];
}

const goldens = new URL("../testing/tokenizers/", import.meta.url);
const names = readdirSync(goldens).flatMap((name) => (name.endsWith(".json") ? [name.slice(0, -5)] : []));
const golden = (name: string): Golden => JSON.parse(readFileSync(new URL(`${name}.json`, goldens), "utf8"));

/** Opens a tokenizer from a folder of these files; values are written as JSON. */
async function open(files: Record<string, unknown>): Promise<Tokenizer> {
  using folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder.path, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return await Tokenizer.open(folder.path);
}

async function refusal(files: Record<string, unknown>): Promise<CheckpointError> {
  const error = await open(files).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CheckpointError);
  expect((error as CheckpointError).next.length).toBeGreaterThan(10);
  return error as CheckpointError;
}

describe("Tokenizer", () => {
  it.each(names)("gives the ids and texts of the Rust library: %s", async (name) => {
    const { tokenizer, texts, ids, decoded } = golden(name);
    const subject = await open({ "tokenizer.json": tokenizer });
    for (const [i, text] of texts.entries()) {
      expect([text, ...subject.encode(text)]).toEqual([text, ...(ids[i] ?? [])]);
      // The library's byte-fallback decoder drops a byte order mark.
      const expected = tokenizer.model.byte_fallback ? decoded[i]?.replace("\ufeff", "") : decoded[i];
      expect(subject.decode(ids[i] ?? [])).toBe(expected);
    }
  });

  it.each(["llama2", "mistral", "gemma"])("cuts long texts only where it changes nothing: %s", async (name) => {
    const { tokenizer, texts } = golden(name);
    // A rule that joins "s" and the next word's mark: then nothing may be cut.
    const { vocab, merges } = tokenizer.model;
    const model = { ...tokenizer.model, vocab: { ...vocab, "s▁": 2000 }, merges: [["s", "▁"], ...merges] };
    const crossing = await open({ "tokenizer.json": { ...tokenizer, model, added_tokens: [] } });
    expect([...crossing.encode("as is")]).toContain(2000);
    const cut = await open({ "tokenizer.json": tokenizer });
    const text = readFileSync(new URL("make.py", goldens), "utf8").repeat(3) + texts.join(" ");
    const whole = new Implementation(tokenizer, {}).encode(text, { add_special_tokens: false }).ids;
    expect([...cut.encode(text)]).toEqual(whole);
  });

  it("takes the start and end tokens from where the model names them", async () => {
    const { tokenizer } = golden("gpt2");
    const none = await open({ "tokenizer.json": tokenizer });
    expect([none.startToken, none.eosTokens, none.chatTemplate]).toEqual([null, [], null]);
    expect([...none.specialTokens.keys()]).toContain("<|end|>");
    const named = await open({
      "tokenizer.json": tokenizer,
      "tokenizer_config.json": { bos_token: { content: "<s>" }, eos_token: "</s>", chat_template: "{{ x }}" },
      "config.json": { bos_token_id: 7, eos_token_id: 9 },
    });
    expect([named.startToken, named.eosTokens, named.chatTemplate]).toEqual([1, [9], "{{ x }}"]);
    const byId = await open({
      "tokenizer.json": tokenizer,
      "tokenizer_config.json": { eos_token: "</s>", chat_template: [{ name: "default", template: "D" }] },
      "config.json": { bos_token_id: 7, eos_token_id: 9 },
      "generation_config.json": { eos_token_id: [9, 2] },
      "chat_template.jinja": "J",
    });
    expect([byId.startToken, byId.eosTokens, byId.chatTemplate]).toEqual([7, [9, 2], "J"]);
    // Python's templates see the names of tokenizer_config.json, whatever ends a generated text.
    expect([...byId.roleTokens]).toEqual([
      ["eos_token", "</s>"],
      ...(byId.tokenText(7) === null ? [] : [["bos_token", byId.tokenText(7)]]),
    ]);
    const tools = [
      { name: "tool_use", template: "T" },
      { name: "default", template: "D" },
    ];
    const several = await open({ "tokenizer.json": tokenizer, "tokenizer_config.json": { chat_template: tools } });
    expect([several.chatTemplate, several.toolTemplate]).toEqual(["D", "T"]);
    const unnamed = await open({
      "tokenizer.json": tokenizer,
      "tokenizer_config.json": { chat_template: tools.slice(0, 1), pad_token: { content: "<|end|>" } },
    });
    expect([unnamed.chatTemplate, unnamed.toolTemplate]).toEqual([null, "T"]);
    expect([...unnamed.roleTokens]).toEqual([["pad_token", "<|end|>"]]);
    const nullStart = { "tokenizer_config.json": { bos_token: null }, "config.json": { bos_token_id: 7 } };
    expect((await open({ "tokenizer.json": tokenizer, ...nullStart })).startToken).toBeNull();
  });

  it("knows whether the tokenizer puts the start token in front of every text by itself", async () => {
    const { tokenizer } = golden("gpt2");
    const start = async (post_processor: object | null, config: object = {}): Promise<number | null> =>
      (
        await open({
          "tokenizer.json": { ...tokenizer, post_processor },
          "tokenizer_config.json": { bos_token: "<s>", ...config },
        })
      ).sequenceStart;
    const special = (id: string): object => ({ SpecialToken: { id, type_id: 0 } });
    const text = { Sequence: { id: "A", type_id: 0 } };
    const template = (...single: readonly object[]): object => ({ type: "TemplateProcessing", single });
    expect(await start(null)).toBeNull();
    expect(await start(null, { add_bos_token: true })).toBe(1);
    expect(await start(template(text))).toBeNull();
    expect(await start(template(text), { add_bos_token: true })).toBeNull();
    expect(await start(template(special("<s>"), text, special("</s>")))).toBe(1);
    expect(await start(template(special("</s>"), text))).toBeNull();
    expect(await start({ type: "Sequence", processors: [{ type: "ByteLevel" }, template(special("<s>"), text)] })).toBe(
      1,
    );
  });

  it("leaves ids without a token out, and special ones when asked", async () => {
    const { tokenizer } = golden("gpt2");
    const subject = await open({ "tokenizer.json": tokenizer });
    const ids = [1, ...subject.encode(" met"), 100_000, 2];
    expect(subject.decode(ids)).toBe("<s> met</s>");
    expect(subject.decode(ids, { skipSpecialTokens: true })).toBe(" met");
    expect(subject.decode([100_000])).toBe("");
    expect(subject.tokenText(100_000)).toBeNull();
    expect(subject.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  const { tokenizer } = golden("gpt2");
  const wrong: [string, Record<string, unknown>, RegExp][] = [
    [
      "a folder without tokenizer.json",
      { "tokenizer.model": "x" },
      /no tokenizer.json.*only tokenizer.model.*save_pretrained/,
    ],
    ["broken JSON", { "tokenizer.json": "{" }, /invalid JSON/],
    ["an empty object", { "tokenizer.json": {} }, /model is missing/],
    ["no vocabulary", { "tokenizer.json": { ...tokenizer, model: { type: "BPE" } } }, /model.vocab is missing/],
    [
      "a giant id",
      { "tokenizer.json": { ...tokenizer, model: { type: "BPE", vocab: { a: 4e9 }, merges: [] } } },
      /"a" has the id 4000000000/,
    ],
    [
      "a text as id",
      { "tokenizer.json": { ...tokenizer, model: { type: "BPE", vocab: { a: "1" }, merges: [] } } },
      /has the id "1"/,
    ],
    [
      "an added token without text",
      { "tokenizer.json": { ...tokenizer, added_tokens: [{ id: 1 }] } },
      /without content/,
    ],
    ["added tokens of another kind", { "tokenizer.json": { ...tokenizer, added_tokens: 3 } }, /not a list/],
    [
      "an unknown model",
      { "tokenizer.json": { ...tokenizer, model: { type: "Other", vocab: {} } } },
      /unknown model type "Other"/,
    ],
    [
      "no merges",
      { "tokenizer.json": { ...tokenizer, model: { type: "BPE", vocab: { a: 1 } } } },
      /not a usable tokenizer/,
    ],
    [
      "an unknown pre-tokenizer",
      { "tokenizer.json": { ...tokenizer, pre_tokenizer: { type: "Nope" } } },
      /Unknown PreTokenizer type: Nope/,
    ],
    [
      "a split that can't be followed",
      {
        "tokenizer.json": {
          ...tokenizer,
          pre_tokenizer: { type: "Split", pattern: { String: "a" }, behavior: "MergedWithNext", invert: false },
        },
      },
      /can't be reproduced exactly.*MergedWithNext/,
    ],
    [
      "broken tokenizer_config.json",
      { "tokenizer.json": tokenizer, "tokenizer_config.json": "[]" },
      /tokenizer_config.json: the top level/,
    ],
  ];
  it.each(wrong)("refuses %s", async (_, files, message) => {
    expect((await refusal(files)).message).toMatch(message);
  });

  it("takes a long document without word boundaries of its own to ids and back", async () => {
    const subject = await open({ "tokenizer.json": golden("llama2").tokenizer });
    const text = "The Congress of the United States met again. ".repeat(5_000);
    expect(subject.decode(subject.encode(text))).toBe(text);
  });

  // Hashes of the little-endian ids by Python's tokenizers 0.23.3, no special tokens added.
  it.each([
    ["address.txt", 836, "5f44d8c59fd9ec1e2f16d2ad9ad78fec5065d0ae6fe7a83990c8afb49d19e19c"],
    ["tokenizer-text.txt", 625, "41d88e72964107cd6498c86aa97e6377faf6b3d6f4b5a278373e250e723ddc6b"],
  ])("gives the ids of Python's library for %s with the bundled model's tokenizer", async (file, count, hash) => {
    const root = join(import.meta.dirname, "../../..");
    const sotu = join(root, "models/sotu-llama-7m");
    const subject = await Tokenizer.open(sotu);
    expect([subject.startToken, subject.eosTokens, subject.vocabSize]).toEqual([0, [0], 4096]);
    const ids = subject.encode(readFileSync(join(root, "test/fixtures", file), "utf8"));
    expect(ids.length).toBe(count);
    const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(hash);
  });
});
