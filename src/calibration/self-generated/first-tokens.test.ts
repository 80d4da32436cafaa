import { describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import { firstTokens, isScript } from "./first-tokens.js";

const words = ["<s>", " the", "Tür", "12", "дом", "語", "a b", ".", "語の", ""];
const tokenizer = {
  addedTokens: [
    { id: 0, content: "<s>", singleWord: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ],
  idLimit: words.length,
  decode: (ids: ArrayLike<number>) => words[ids[0] ?? 0] ?? "",
};

describe("tokens that a sequence may begin with", () => {
  it("are letters of the scripts that are named, a space before them aside", () => {
    expect([...firstTokens(tokenizer, ["Latin"])]).toEqual([1, 2]);
    expect([...firstTokens(tokenizer, ["Latin", "Cyrillic"])]).toEqual([1, 2, 4]);
    expect([...firstTokens(tokenizer, ["Han"])]).toEqual([5]);
    expect([...firstTokens(tokenizer, ["Han", "Hiragana"])]).toEqual([5, 8]);
  });

  it("are all that have a text, added ones aside, without scripts", () => {
    expect([...firstTokens(tokenizer, [])]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("are refused where there are none, with what to set", () => {
    expect(() => firstTokens(tokenizer, ["Greek"])).toThrow(CalibrationError);
    expect(() => firstTokens(tokenizer, ["Greek"])).toThrow(/letters of Greek.*Next: .*selfGenerated\.scripts=\[\]/);
  });

  it("knows the scripts of Unicode by name", () => {
    expect(["Latin", "Han", "Old_Italic"].map(isScript)).toEqual([true, true, true]);
    expect(["latin", "English", "", "Latin}", "L.", "Latin|Han"].map(isScript)).toEqual(new Array(6).fill(false));
  });
});
