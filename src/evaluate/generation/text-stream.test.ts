import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { type DecodeTokens, TextStream } from "./text-stream.js";

/** Tokens are bytes, as a byte-level tokenizer's smallest are. */
const bytes: DecodeTokens = (ids) => Buffer.from(ids).toString();

const pieces = (stream: TextStream, ids: Iterable<number>): string[] => [
  ...Array.from(ids, (id) => stream.push(id)),
  stream.end(),
];

describe("TextStream", () => {
  it("gives a character with the token that completes it", () => {
    const stream = new TextStream(bytes, Buffer.from("so: "));
    expect(pieces(stream, Buffer.from("aé🌟b"))).toEqual(["a", "", "é", "", "", "", "🌟", "b", ""]);
  });

  it("leaves a character out that stays incomplete, and gives one that the model itself did not know", () => {
    const star = [...Buffer.from("🌟")];
    expect(pieces(new TextStream(bytes, []), [65, ...star.slice(0, 3)])).toEqual(["A", "", "", "", ""]);
    // A byte that begins nothing, then a letter.
    expect(pieces(new TextStream(bytes, []), [0xff, 66])).toEqual(["", "\uFFFDB", ""]);
  });

  it("gives a text whatever stands before it, with the space that a tokenizer drops at a beginning", () => {
    const words = ["", "▁The", "▁state", "ment"];
    const metaspace: DecodeTokens = (ids) =>
      ids
        .map((id) => words[id] ?? "")
        .join("")
        .replaceAll("▁", " ")
        .replace(/^ /, "");
    expect(pieces(new TextStream(metaspace, [1]), [2, 3, 1])).toEqual([" state", "ment", " The", ""]);
    expect(pieces(new TextStream(metaspace, []), [1, 2])).toEqual(["The", " state", ""]);
  });

  it("makes the same text of a real tokenizer's tokens as decoding all of them", async () => {
    const tokenizer = await Tokenizer.open(resolve(import.meta.dirname, "../../../models/sotu-llama-7m"));
    const text = 'Fellow citizens — naïve, 東京, 🌟 and 👩‍👩‍👧: "ok".\n\tThe end';
    const ids = tokenizer.encode(text);
    // More tokens than characters somewhere: otherwise nothing is put together here.
    expect(ids.length).toBeGreaterThan(30);
    const stream = new TextStream((some) => tokenizer.decode(some, { skipSpecialTokens: true }), [0]);
    expect(pieces(stream, ids).join("")).toBe(text);
  });
});
