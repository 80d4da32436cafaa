import { describe, expect, it } from "vitest";
import { generateSequences, type SequenceGeneration } from "./generate-sequences.js";
import type { Draws, SequenceSampler } from "./sequence-sampler.js";

const VOCABULARY = 100;

interface Asked {
  readonly tokens: readonly number[];
  readonly draws: Draws | null;
}

/** Draws evenly from the vocabulary; its likeliest token is the one read plus one. Notes what it was asked, and whether it ended. */
function evenSampler(): SequenceSampler & { readonly asked: Asked[]; open: number } {
  const sampler = {
    asked: [] as Asked[],
    open: 0,
    begin() {
      sampler.open++;
      return {
        next: (tokens: Int32Array, draws: Draws | null) => {
          sampler.asked.push({ tokens: [...tokens], draws });
          return tokens.map((token, i) =>
            draws === null ? (token + 1) % VOCABULARY : Math.floor((draws.places[i] ?? 0) * VOCABULARY),
          );
        },
        [Symbol.dispose]: () => void sampler.open--,
      };
    },
  };
  return sampler;
}

const plain: SequenceGeneration = {
  context: 12,
  seed: 7,
  temperature: 0.8,
  greedy: 3,
  firstTokens: Int32Array.of(20, 40, 60),
  startToken: null,
  endTokens: new Set(),
};

function rowsOf(ids: Int32Array, context: number): number[][] {
  return Array.from({ length: ids.length / context }, (_, i) => [...ids.subarray(i * context, (i + 1) * context)]);
}

describe("sequences that a model makes up", () => {
  it("begin with a token of the set, go on with the likeliest ones, and then with drawn ones", () => {
    const sampler = evenSampler();
    const sequences = rowsOf(generateSequences(sampler, [0, 1, 2, 3, 4, 5, 6, 7], plain), plain.context);
    for (const [first = -1, ...rest] of sequences) {
      expect([20, 40, 60]).toContain(first);
      expect(rest.slice(0, 3)).toEqual([first + 1, first + 2, first + 3]);
    }
    expect(new Set(sequences.map(([first]) => first)).size).toBeGreaterThan(1);
    expect(sampler.asked.map(({ draws }) => draws?.temperature ?? null)).toEqual([
      null,
      null,
      null,
      ...new Array<number>(8).fill(0.8),
    ]);
    // Even draws of 64 tokens come from all over the vocabulary.
    const drawn = sequences.flatMap((ids) => ids.slice(4));
    expect(Math.min(...drawn)).toBeLessThan(15);
    expect(Math.max(...drawn)).toBeGreaterThan(85);
    expect(sampler.open).toBe(0);
  });

  it("read each token once, in order", () => {
    const sampler = evenSampler();
    const [ids = []] = rowsOf(generateSequences(sampler, [3], plain), plain.context);
    expect(sampler.asked.map(({ tokens }) => tokens[0])).toEqual(ids.slice(0, -1));
  });

  it("are the same whichever are made together, and others for another seed", () => {
    const of = (rows: readonly number[], seed = 7): number[][] =>
      rowsOf(generateSequences(evenSampler(), rows, { ...plain, seed }), plain.context);
    const all = of([0, 1, 2, 3, 4]);
    expect([...of([0, 1]), ...of([2]), ...of([3, 4])]).toEqual(all);
    expect(of([0, 1, 2, 3, 4])).toEqual(all);
    expect(of([0, 1, 2, 3, 4], 8)).not.toEqual(all);
    expect(new Set(all.map((ids) => ids.join())).size).toBe(5);
  });

  it("begin with the start token, and have it behind each token that ends a document", () => {
    const ends = new Set(Array.from({ length: 50 }, (_, i) => i));
    const options = { ...plain, context: 40, startToken: 99, endTokens: ends };
    const [ids = []] = rowsOf(generateSequences(evenSampler(), [0], options), 40);
    expect(ids[0]).toBe(99);
    expect([20, 40, 60]).toContain(ids[1]);
    const behind = ids.slice(6).filter((_, i) => ends.has(ids[i + 5] ?? -1));
    expect(behind.length).toBeGreaterThan(5);
    expect(new Set(behind)).toEqual(new Set([99]));
  });

  it("go on by themselves where one token ends and begins documents", () => {
    const options = { ...plain, context: 6, greedy: 4, startToken: 0, endTokens: new Set([0]) };
    expect(rowsOf(generateSequences(evenSampler(), [0], { ...options, firstTokens: Int32Array.of(0) }), 6)).toEqual([
      [0, 0, 1, 2, 3, 4],
    ]);
  });

  it("end what they began where they are stopped", () => {
    const sampler = evenSampler();
    const stop = (done: number): void => {
      if (done === 5) throw new RangeError("stopped");
    };
    expect(() => generateSequences(sampler, [0, 1], plain, stop)).toThrow("stopped");
    expect([sampler.open, sampler.asked.length]).toEqual([0, 4]);
  });
});
