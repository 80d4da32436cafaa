import { describe, expect, it } from "vitest";
import { generateSequences, type SequenceGeneration } from "../calibration/self-generated/generate-sequences.js";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { ModelError } from "../errors.js";
import { Decoder, readSpec } from "../network/index.js";
import { tinyModel, tinyWeights } from "../network/testing/tiny-models.js";
import { liveHandles, scope, Tensor } from "../tensor/index.js";
import { DecoderSampler } from "./decoder-sampler.js";

function tinyDecoder(name = "llama", change: (tensor: string, values: Float32Array) => void = () => {}): Decoder {
  const spec = readSpec(tinyModel(name).config as ModelConfig);
  return Decoder.load((tensor, shape) => {
    const values = tinyWeights(tensor, shape);
    change(tensor, values);
    return Tensor.from(values, shape);
  }, spec);
}

/** Logits behind some ids, without a cache. */
function logitsBehind(decoder: Decoder, ids: readonly number[]): Float64Array {
  return scope(
    () =>
      decoder
        .logits(Tensor.from(Int32Array.from(ids), [1, ids.length]).to("int64"))
        .select(1, ids.length - 1)
        .reshape([-1])
        .to("float64")
        .toArray() as Float64Array,
  );
}

/** The token at a place of a distribution, by the definition. */
function tokenAt(logits: Float64Array, temperature: number, place: number): number {
  const weights = [...logits].map((logit) => Math.exp(logit / temperature));
  let rest = place * weights.reduce((a, b) => a + b);
  return weights.findIndex((weight) => {
    rest -= weight;
    return rest <= 0;
  });
}

const drawing: SequenceGeneration = {
  context: 20,
  seed: 3,
  temperature: 1,
  greedy: 2,
  firstTokens: Int32Array.of(3, 8, 11),
  startToken: 1,
  endTokens: new Set([2]),
};

describe("a network that continues sequences", () => {
  it.each(["llama", "mistral, window of 4", "opt"])("draws with its caches what it would draw without: %s", (name) => {
    using decoder = tinyDecoder(name);
    const { vocabSize } = decoder.spec;
    const draws = Array.from({ length: 12 }, (_, at) => [
      ((at * 37) % 100) / 100 + 0.004,
      ((at * 61) % 100) / 100 + 0.003,
    ]);
    using sequences = new DecoderSampler(decoder).begin(2);
    const ids = [[3], [9]];
    draws.forEach((places, at) => {
      const given = at % 3 === 0 ? null : { temperature: 0.7, places: Float64Array.from(places) };
      const last = Int32Array.from(ids, (row) => row.at(-1) ?? 0);
      const next = sequences.next(last, given);
      ids.forEach((row, i) => {
        const logits = logitsBehind(decoder, row);
        const likeliest = logits.indexOf(Math.max(...logits));
        const expected = given === null ? likeliest : tokenAt(logits, 0.7, places[i] ?? 0);
        expect(next[i]).toBe(expected);
        row.push(next[i] ?? 0);
      });
    });
    expect(Math.max(...ids.flat())).toBeLessThan(vocabSize);
    expect(new Set(ids.flat()).size).toBeGreaterThan(5);
  });

  it("draws with the model's probabilities, at the temperature, and nothing beyond the limit", () => {
    using decoder = tinyDecoder();
    const [rows, limit] = [4000, 10];
    using sequences = new DecoderSampler(decoder, limit).begin(rows);
    const places = Float64Array.from({ length: rows }, (_, i) => (i + 0.5) / rows);
    const drawn = sequences.next(new Int32Array(rows).fill(5), { temperature: 0.5, places });
    const weights = [...logitsBehind(decoder, [5]).subarray(0, limit)].map((logit) => Math.exp(logit / 0.5));
    const total = weights.reduce((a, b) => a + b);
    weights.forEach((weight, token) => {
      expect(drawn.filter((each) => each === token).length / rows).toBeCloseTo(weight / total, 3);
    });
  });

  it("makes up the same sequences whichever are made together, up to the longest context", () => {
    using decoder = tinyDecoder();
    const context = decoder.spec.maxPositions;
    const sampler = new DecoderSampler(decoder);
    const of = (...parts: readonly (readonly number[])[]): number[] =>
      parts.flatMap((rows) => [...generateSequences(sampler, rows, { ...drawing, context })]);
    const all = of([0, 1, 2, 3, 4]);
    expect(all.length).toBe(5 * context);
    expect(of([0, 1], [2, 3], [4])).toEqual(all);
    expect(of([0], [1], [2], [3], [4])).toEqual(all);
  });

  it("leaves no tensor behind, finished or stopped anywhere", () => {
    using decoder = tinyDecoder();
    const sampler = new DecoderSampler(decoder);
    const live = liveHandles();
    generateSequences(sampler, [0, 1, 2], drawing);
    expect(liveHandles()).toBe(live);
    for (let last = 1; last <= drawing.context; last++) {
      const stop = (done: number): void => {
        if (done === last) throw new RangeError("stopped");
      };
      expect(() => generateSequences(sampler, [0, 1, 2], drawing, stop)).toThrow("stopped");
      expect([last, liveHandles()]).toEqual([last, live]);
    }
  });

  it("is refused where its probabilities are no numbers", () => {
    using decoder = tinyDecoder("llama", (tensor, values) => {
      if (tensor.includes("down_proj")) values.fill(3e38);
    });
    const live = liveHandles();
    expect(() => generateSequences(new DecoderSampler(decoder), [0], drawing)).toThrow(ModelError);
    expect(() => generateSequences(new DecoderSampler(decoder), [0], { ...drawing, greedy: 0 })).toThrow(/Next: /);
    expect(liveHandles()).toBe(live);
  });
});
