import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import { CalibrationError, ModelError } from "../../errors.js";
import { Decoder, readSpec, tokenIds } from "../../network/index.js";
import { tinyModel, tinyWeights } from "../../network/testing/tiny-models.js";
import { liveHandles, scope, Tensor } from "../../tensor/index.js";
import { type Continuations, continuationLikelihoods } from "./continuation-likelihoods.js";
import type { EncodedQuestion } from "./encode-question.js";
import { multipleChoice } from "./multiple-choice.js";

const vocabulary = 19;
const positions = 64;

function load(family: string, change: (name: string, values: Float32Array) => void = () => {}): Decoder {
  const spec = readSpec(tinyModel(family).config as ModelConfig);
  return Decoder.load((name, shape) => {
    const values = tinyWeights(name, shape);
    change(name, values);
    return Tensor.from(values, shape);
  }, spec);
}

/** Independent: the logits of the whole sequence, and log-softmax by hand. */
function byHand(model: Decoder, context: Int32Array, continuation: Int32Array): number {
  const ids = [...context, ...continuation].slice(-(positions + 1));
  const input = Int32Array.from(ids.slice(0, -1));
  const logits = scope(() => model.logits(tokenIds(model.spec, input, [1, input.length], "cpu")).toFloat32Array());
  let sum = 0;
  for (let t = ids.length - continuation.length; t < ids.length; t++) {
    const row = logits.subarray((t - 1) * vocabulary, t * vocabulary);
    sum += (row[ids[t] ?? -1] ?? Number.NaN) - Math.log(row.reduce((all, logit) => all + Math.exp(logit), 0));
  }
  return sum;
}

const idsOf = (length: number, seed: number): Int32Array =>
  Int32Array.from({ length }, (_, i) => (i * i + 5 * i * seed + seed) % vocabulary);

/** Contexts and continuations of many lengths, several contexts of one length among them. */
const requests: Continuations[] = [
  [1, [1, 1]],
  [1, [3, 1, 7]],
  [9, [1, 1, 1]],
  [9, [2, 5, 1, 12]],
  [9, [4, 4]],
  [20, [1, 30]],
  // Up to 65 tokens fit a context of 64: the last is never fed.
  [60, [5, 6, 1]],
  [64, [1, 2]],
  [200, [1, 64]],
].map(([context, continuations], r) => ({
  context: idsOf(Number(context), r + 1),
  continuations: (continuations as number[]).map((length, c) => idsOf(length, 3 * r + c + 2)),
  source: `line ${r}`,
}));

describe("continuationLikelihoods", () => {
  it.each(["llama", "mistral, window of 4", "qwen3", "opt"])(
    "is the sum of log-probabilities in the whole sequence, however it is batched: %s",
    (family) => {
      using model = load(family);
      const expected = requests.map(({ context, continuations }) =>
        continuations.map((ids) => byHand(model, context, ids)),
      );
      for (const batchTokens of [1, 40, 4096]) {
        const seen: number[] = [];
        const onProgress = (done: number): void => void seen.push(done);
        const values = continuationLikelihoods(model, requests, { batchTokens, onProgress });
        values.forEach((row, r) => {
          row.forEach((value, c) => {
            expect(value, `request ${r}, continuation ${c}, ${batchTokens} tokens`).toBeCloseTo(
              expected[r]?.[c] ?? Number.NaN,
              4,
            );
          });
        });
        expect(seen[0]).toBe(0);
        expect(seen).toEqual([...seen].sort((a, b) => a - b));
        expect(seen.at(-1)).toBe(23);
      }
    },
  );

  it("leaves no tensor behind, also when the work is cancelled", () => {
    using model = load("llama");
    const before = liveHandles();
    continuationLikelihoods(model, requests);
    const cancel = (done: number): void => {
      if (done > 0) throw new RangeError("cancelled");
    };
    expect(() => continuationLikelihoods(model, requests, { onProgress: cancel })).toThrow("cancelled");
    expect(liveHandles()).toBe(before);
  });

  it("refuses what can't be scored, by its source", () => {
    using model = load("llama");
    const run = (context: Int32Array, ids: Int32Array) => () =>
      continuationLikelihoods(model, [{ context, continuations: [ids], source: "file:7" }]);
    expect(run(idsOf(3, 1), idsOf(65, 1))).toThrow(CalibrationError);
    expect(run(idsOf(3, 1), idsOf(65, 1))).toThrow(/file:7: choice 0 has 65 tokens.*Next: give the choice 1 to 64/);
    expect(run(idsOf(0, 1), idsOf(2, 1))).toThrow(/file:7/);
    expect(run(idsOf(3, 1), idsOf(0, 1))).toThrow(/file:7/);
    expect(run(idsOf(3, 1), Int32Array.of(19))).toThrow(/vocabulary of 19/);
  });

  it("says so when a log-likelihood is not finite", () => {
    using model = load("llama", (name, values) => {
      if (name.includes("norm")) values.fill(Number.POSITIVE_INFINITY);
    });
    const run = () => continuationLikelihoods(model, requests.slice(0, 1));
    expect(run).toThrow(ModelError);
    expect(run).toThrow(/line 0/);
  });
});

describe("multipleChoice", () => {
  it("counts the largest log-likelihood, alone and per byte, with the harness's standard error", () => {
    using model = load("llama");
    const asked = requests.slice(0, 7);
    const values = asked.map(({ context, continuations }) => continuations.map((ids) => byHand(model, context, ids)));
    const best = values.map((row) => row.reduce((most, value, c) => (value > (row[most] ?? 0) ? c : most), 0));
    // In the second question a choice that isn't the best one is so long that it is best per byte.
    const lengths = asked.map(({ continuations }, r) =>
      continuations.map((_ids, c) => (r === 1 && c === ((best[1] ?? 0) + 1) % 3 ? 1000 : 10)),
    );
    const bestNorm = values.map((row, r) => {
      const scaled = row.map((value, c) => value / (lengths[r]?.[c] ?? 1));
      return scaled.reduce((most, value, c) => (value > (scaled[most] ?? 0) ? c : most), 0);
    });
    const answers = best.map((choice, r) => (r === 2 ? (choice + 1) % 3 : choice));
    const questions = asked.map(
      (request, r): EncodedQuestion => ({ ...request, lengths: lengths[r] ?? [], answer: answers[r] ?? 0 }),
    );
    const right = 6;
    const rightNorm = bestNorm.filter((choice, r) => choice === answers[r]).length;
    expect(rightNorm).toBe(5);
    // sample_stddev / sqrt(n), with n - 1 in the variance
    const stderr = (ones: number): number => {
      const mean = ones / 7;
      return Math.sqrt((ones * (1 - mean) ** 2 + (7 - ones) * mean ** 2) / 6 / 7);
    };
    const result = multipleChoice(model, questions);
    expect(result.accuracy).toBe(right / 7);
    expect(result.stderr).toBeCloseTo(stderr(right), 10);
    expect(result.accuracyNorm).toBe(rightNorm / 7);
    expect(result.stderrNorm).toBeCloseTo(stderr(rightNorm), 10);
    expect(result).toMatchObject({ questions: 7, cut: 1 });
  });

  it("takes the first of equal choices, and knows no error of a single question", () => {
    using model = load("llama");
    const [context, ids] = [idsOf(4, 1), idsOf(3, 2)];
    const twice = { context, continuations: [ids, ids], lengths: [2, 2], source: "" };
    expect(multipleChoice(model, [{ ...twice, answer: 0 }])).toEqual({
      accuracy: 1,
      stderr: null,
      accuracyNorm: 1,
      stderrNorm: null,
      questions: 1,
      cut: 0,
    });
    expect(multipleChoice(model, [{ ...twice, answer: 1 }]).accuracy).toBe(0);
  });
});
