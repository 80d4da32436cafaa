import { describe, expect, it } from "vitest";
import type { Tokenizer } from "../checkpoint/tokenizer/tokenizer.js";
import { answerTokens } from "./answer-tokens.js";
import type { Document } from "./text/document.js";
import { sampleSequences, sequencesFingerprint } from "./token-sequences.js";
import { tokenizeDocuments } from "./token-stream.js";

/** A token a character, but for "ab", which is one. */
function encode(text: string): Int32Array {
  return Int32Array.from((text.match(/ab|./gs) ?? []).map((piece) => (piece === "ab" ? 999 : piece.charCodeAt(0))));
}

const tokenizer = (startToken: number | null): Tokenizer =>
  ({ encode, startToken, hash: "0", idLimit: 2000 }) as unknown as Tokenizer;

const stream = (
  documents: readonly Document[],
  startToken: number | null = null,
): ReturnType<typeof tokenizeDocuments> => tokenizeDocuments(documents, tokenizer(startToken), { folder: null });

describe("tokens of answers", () => {
  it("are those between the tokens that the text before and up to them has", () => {
    const marks = (text: string, spans: readonly (readonly [number, number])[]): number[] => [
      ...answerTokens(tokenizer(null), text, encode(text), spans),
    ];
    expect(marks("q:xyz.", [[2, 5]])).toEqual([0, 0, 1, 1, 1, 0]);
    expect(marks("q:xyz", [[2, 5]])).toEqual([0, 0, 1, 1, 1]);
    expect(marks("q:xyz", [])).toEqual([0, 0, 0, 0, 0]);
    // A token across the border belongs to the answer: without it nobody would learn to say it.
    expect(marks("qabx", [[2, 4]])).toEqual([0, 1, 1]);
  });

  it("stand beside those of a stream, and change none of them", async () => {
    const documents = [
      { text: "q:xy", source: "1", answers: [[2, 4]] as const },
      { text: "plain", source: "2" },
      { text: "zq:v", source: "3", answers: [[3, 4]] as const },
    ];
    const { ids, answers } = await stream(documents, 122);
    const bare = await stream(
      documents.map(({ text, source }) => ({ text, source })),
      122,
    );
    expect(ids).toEqual(bare.ids);
    expect(bare.answers).toBeUndefined();
    // A start token stands before the first two; the third has it as its own first character.
    expect([...(answers ?? [])]).toEqual([0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1]);
  });

  it("are cut into sequences with their tokens, and tell runs apart", async () => {
    const { ids, answers } = await stream([{ text: "abcdefghijkl", source: "1", answers: [[4, 8]] }]);
    const options = { samples: 2, context: 4, seed: 3 };
    const chosen = sampleSequences(ids, options, answers);
    expect(chosen.ids).toEqual(sampleSequences(ids, options).ids);
    chosen.ids.forEach((id, i) => {
      const letter = String.fromCharCode(id);
      expect([letter, chosen.answers?.[i]]).toEqual([letter, "efgh".includes(letter) ? 1 : 0]);
    });
    expect(sequencesFingerprint(chosen)).not.toBe(sequencesFingerprint(sampleSequences(ids, options)));
  });
});
