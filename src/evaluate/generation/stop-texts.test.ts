import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopTexts } from "./stop-texts.js";

function shown(stops: readonly string[], pieces: readonly string[]): { text: string; stopped: boolean } {
  const until = new StopTexts(stops);
  const text = pieces.map((piece) => until.push(piece)).join("") + until.end();
  return { text, stopped: until.stopped };
}

describe("StopTexts", () => {
  it("ends at the first stop text, of which nothing is shown, also where it comes in pieces", () => {
    const until = new StopTexts(["\nUser:", "END"]);
    expect(["Hello", " E", "N", "t\n", "Use", "r: x", "more"].map((piece) => until.push(piece))).toEqual([
      "Hello",
      " ",
      "",
      "ENt",
      "",
      "",
      "",
    ]);
    expect([until.stopped, until.end()]).toEqual([true, ""]);
  });

  it("shows what waited when nothing follows, and all of a text without stop texts", () => {
    expect(shown(["END"], ["the EN"])).toEqual({ text: "the EN", stopped: false });
    expect(shown([], ["a", "b"])).toEqual({ text: "ab", stopped: false });
  });

  it("shows the text up to the first stop text however it is cut", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 12 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 6 }), stops, (pieces, texts) => {
        // A stop text counts as soon as it is complete: where two overlap, that is the one that ends first.
        const whole = pieces.join("");
        const { text, stopped } = shown(texts, pieces);
        expect(stopped).toBe(texts.some((stop) => whole.includes(stop)));
        expect(whole.startsWith(text)).toBe(true);
        expect(texts.some((stop) => text.includes(stop))).toBe(false);
        if (!stopped) expect(text).toBe(whole);
        else expect(texts.some((stop) => whole.startsWith(stop, text.length))).toBe(true);
      }),
    );
  });
});
