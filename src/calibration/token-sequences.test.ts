import { describe, expect, it } from "vitest";
import { CalibrationError } from "../errors.js";
import { evaluationSequences, sampleSequences, sequencesFingerprint } from "./token-sequences.js";

const tokens = Int32Array.from({ length: 1003 }, (_, i) => i);

function failure(action: () => unknown): CalibrationError {
  try {
    action();
  } catch (error) {
    if (error instanceof CalibrationError) return error;
  }
  throw new Error("no CalibrationError");
}

describe("sampleSequences", () => {
  it("chooses sequences of the cut text, none twice", () => {
    const { ids, sequences, context } = sampleSequences(tokens, { samples: 100, context: 10, seed: 0 });
    expect([ids.length, sequences, context]).toEqual([1000, 100, 10]);
    const starts = new Set<number>();
    for (let row = 0; row < sequences; row++) {
      const sequence = ids.subarray(row * context, (row + 1) * context);
      const start = sequence[0] ?? -1;
      expect(start % context).toBe(0);
      expect([...sequence]).toEqual(Array.from({ length: context }, (_, i) => start + i));
      starts.add(start);
    }
    expect(starts.size).toBe(100);
  });

  it("begins with the sequences of a smaller number of samples, and changes with the seed", () => {
    const few = sampleSequences(tokens, { samples: 5, context: 10, seed: 4 }).ids;
    const many = sampleSequences(tokens, { samples: 50, context: 10, seed: 4 }).ids;
    expect(many.subarray(0, 50)).toEqual(few);
    expect(sampleSequences(tokens, { samples: 5, context: 10, seed: 5 }).ids).not.toEqual(few);
  });

  it("begins every sequence with a start token, in place of the first of its own, and leaves the text as it is", () => {
    const options = { samples: 3, context: 10, seed: 4 };
    const plain = sampleSequences(tokens, options).ids;
    const begun = sampleSequences(tokens, { ...options, start: 7777 }).ids;
    expect([...begun]).toEqual(Array.from(plain, (id, at) => (at % 10 === 0 ? 7777 : id)));
    const scored = evaluationSequences(tokens, 100, 7777).ids;
    expect([scored[0], scored[1], scored[100], scored[101]]).toEqual([7777, 1, 7777, 101]);
    expect([tokens[0], tokens[100]]).toEqual([0, 100]);
  });

  it("says how many tokens there are, how many are needed, and which options fit", () => {
    const error = failure(() => sampleSequences(tokens, { samples: 128, context: 100, seed: 0 }));
    expect(error.what).toBe("the text has 1003 tokens, and 128 sequences of 100 take 12800");
    expect(error.next).toBe("give at least 11797 tokens more of text, or use --samples 10");
    const few = failure(() => sampleSequences(tokens, { samples: 20, context: 90, seed: 0 }));
    expect(few.next).toBe("give at least 797 tokens more of text, or use --samples 11, or use --context 50");
    const both = failure(() => sampleSequences(tokens, { samples: 128, context: 2048, seed: 0 }));
    expect(both.next).toMatch(/tokens more of text, or use --samples 31 --context 32$/);
    expect(() => sampleSequences(tokens, { samples: 31, context: 32, seed: 0 })).not.toThrow();
    expect(() => sampleSequences(tokens, { samples: 10, context: 100, seed: 0 })).not.toThrow();
    expect(() => sampleSequences(tokens, { samples: 20, context: 50, seed: 0 })).not.toThrow();
    const short = failure(() => sampleSequences(tokens.subarray(0, 1), { samples: 2, context: 100, seed: 0 }));
    expect(short.next).toBe("give at least 199 tokens more of text");
  });
});

describe("evaluationSequences", () => {
  it("cuts the text in order and drops the rest", () => {
    const { ids, sequences, context } = evaluationSequences(tokens, 250);
    expect([sequences, context]).toEqual([4, 250]);
    expect(ids).toEqual(tokens.subarray(0, 1000));
  });

  it("needs one sequence", () => {
    expect(failure(() => evaluationSequences(tokens, 1004))).toMatchObject({
      what: "the text has 1003 tokens, and one sequence takes 1004",
      next: "give at least 1 tokens more of text, or use --context 1003",
    });
  });
});

describe("sequencesFingerprint", () => {
  const text = evaluationSequences(tokens, 250);
  const fingerprint = sequencesFingerprint(text, { seed: 1, tokenizer: "abc" });

  it("is a SHA-256 that does not depend on the order of the parameters", () => {
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(sequencesFingerprint(text, { tokenizer: "abc", seed: 1 })).toBe(fingerprint);
  });

  it("changes with a token, the shape and a parameter", () => {
    const ids = Int32Array.from(text.ids);
    ids[999] = 7;
    const others = [
      sequencesFingerprint({ ...text, ids }, { seed: 1, tokenizer: "abc" }),
      sequencesFingerprint({ ...text, sequences: 2, context: 500 }, { seed: 1, tokenizer: "abc" }),
      sequencesFingerprint(text, { seed: 2, tokenizer: "abc" }),
    ];
    expect(new Set([fingerprint, ...others]).size).toBe(4);
  });
});
