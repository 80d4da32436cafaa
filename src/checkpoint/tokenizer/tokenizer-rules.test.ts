import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../json/json.js";
import { temporaryFolder } from "../testing/temporary-folder.js";
import { Tokenizer } from "./tokenizer.js";

interface Golden {
  readonly name: string;
  readonly tokenizer: JsonObject;
  readonly ids: readonly (readonly number[])[];
}

const lines = readFileSync(new URL("../testing/tokenizer-rules/golden.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n");
const { texts } = JSON.parse(lines[0] ?? "") as { readonly texts: readonly string[] };
const cases = lines.slice(1).map((line) => JSON.parse(line) as Golden);

async function open(tokenizer: JsonObject, rows?: number, settings: JsonObject = {}): Promise<Tokenizer> {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "tokenizer.json"), JSON.stringify(tokenizer));
  writeFileSync(join(folder.path, "tokenizer_config.json"), JSON.stringify(settings));
  return await Tokenizer.open(folder.path, rows);
}

const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
const small = (added: readonly JsonObject[], more: JsonObject = {}): JsonObject => ({
  added_tokens: added.map((token) => ({ ...plain, ...token })),
  normalizer: null,
  pre_tokenizer: null,
  model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2, " ": 3 }, merges: [["a", "b"]] },
  ...more,
});

describe("rules of tokenizer.json", () => {
  it.each(cases.map((each) => [each.name, each] as const))("give the ids of the Rust library: %s", async (_, each) => {
    const subject = await open(each.tokenizer);
    for (const [i, text] of texts.entries()) {
      expect([text, ...subject.encode(text)]).toEqual([text, ...(each.ids[i] ?? [])]);
    }
  });

  it("leave texts alone that only tokenizer_config.json would change: the Rust library does not read it", async () => {
    const subject = await open(small([]), undefined, { remove_space: true, do_lowercase_and_remove_accent: true });
    expect([...subject.encode(" a  b ")]).toEqual([3, 0, 3, 3, 1, 3]);
  });

  it.each<[name: string, tokenizer: JsonObject, message: RegExp]>([
    ["an id behind a gap", small([{ id: 9, content: "<x>" }]), /"<x>" has the id 9 in the file, .* gives it 4/],
    [
      "an id that another token has",
      small([{ id: 1, content: "<x>" }]),
      /"<x>" has the id 1 in the file, .* gives it 4/,
    ],
    ["another id for a word", small([{ id: 4, content: "ab" }]), /"ab" has the id 4 in the file, .* gives it 2/],
    [
      "one text twice",
      small([
        { id: 4, content: "<x>" },
        { id: 5, content: "<x>" },
      ]),
      /"<x>" has the id 5 in the file, .* gives it 4/,
    ],
  ])("refuse %s, and say how to mend it", async (_, tokenizer, message) => {
    await expect(open(tokenizer)).rejects.toThrow(message);
    await expect(open(tokenizer)).rejects.toThrow(/Next: save it again in Python, .*save_pretrained\(folder\)/);
  });

  const first = { type: "Metaspace", replacement: "\u2581", prepend_scheme: "first", split: false };
  it.each<[name: string, change: JsonObject, message: RegExp]>([
    [
      "a table of characters",
      { normalizer: { type: "Precompiled", precompiled_charsmap: "" } },
      /normalizer Precompiled/,
    ],
    [
      "a beginning that a normalizer moves",
      { normalizer: { type: "Strip", strip_left: true, strip_right: false }, pre_tokenizer: first },
      /"first" behind a normalizer that moves the beginning/,
    ],
    [
      "a beginning that another step moves",
      { pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, first] } },
      /"first" behind another step/,
    ],
    [
      "what a group has captured",
      { pre_tokenizer: { type: "Split", pattern: { Regex: "(a)+" }, behavior: "Removed", invert: false } },
      /a group in its pattern/,
    ],
    [
      "a prefix within words",
      { model: { type: "BPE", vocab: { a: 0 }, merges: [], continuing_subword_prefix: "##" } },
      /prefix for the inside of words/,
    ],
  ])("refuse %s", async (_, change, message) => {
    await expect(open(small([], change))).rejects.toThrow(/ids can't be reproduced exactly/);
    await expect(open(small([], change))).rejects.toThrow(message);
  });
});

describe("tokens for which the model has no row", () => {
  const pad = small([{ id: 4, content: "[PAD]", special: true }]);

  it("are named, and only a text that holds one is refused", async () => {
    const subject = await open(pad, 4);
    expect(subject.withoutRow).toMatchObject([{ id: 4, content: "[PAD]" }]);
    expect([subject.vocabSize, subject.idLimit]).toEqual([5, 4]);
    expect([...subject.encode("ab a")]).toEqual([2, 3, 0]);
    expect(() => subject.encode("ab [PAD] a")).toThrow(
      /holds the token "\[PAD\]" \(id 4\), for which the model has no row \(the text goes: "ab \[PAD\] a"\)\. Next: take the token out/,
    );
    const enough = await open(pad, 5);
    expect(enough.withoutRow).toEqual([]);
    expect([...enough.encode("ab[PAD]")]).toEqual([2, 4]);
  });

  it("may be several, of a chat for instance", async () => {
    const chat = ["<|im_start|>", "<|im_end|>", "[PAD]"].map((content, i) => ({ id: 4 + i, content, special: i < 2 }));
    expect((await open(small(chat), 5)).withoutRow.map(({ content }) => content)).toEqual(["<|im_end|>", "[PAD]"]);
  });

  it("are refused where they are many, where the vocabulary itself is larger, and where every text begins with one", async () => {
    const many = Array.from({ length: 20 }, (_, i) => ({ id: 4 + i, content: `<${i}>`, special: true }));
    await expect(open(small(many), 4)).rejects.toThrow(
      /tokenizer.json: the tokenizer has 24 ids but the model has only 4 .*"<19>".*Next: put the tokenizer files/,
    );
    await expect(open(pad, 3)).rejects.toThrow(/has 5 ids but the model has only 3/);
    const start = { bos_token: "[PAD]" };
    await expect(open(pad, 4, start)).rejects.toThrow(
      /every text begins with the token "\[PAD\]".*Next: name a "bos_token"/,
    );
  });
});
