import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { CalibrationError, ModelError } from "../errors.js";
import { Decoder, type DecoderSpec, readSpec, tokenIds } from "../network/index.js";
import { tinyModel, tinyWeights } from "../network/testing/tiny-models.js";
import { liveHandles, scope, Tensor } from "../tensor/index.js";
import { compareLogits } from "./compare-logits.js";
import { compareModels } from "./compare-models.js";
import { perplexity, type ScoredModel } from "./perplexity.js";

const spec = readSpec(tinyModel("llama").config as ModelConfig);
const vocabulary = 19;

/** The tiny Llama, with coarser weights where `step` is given. */
function load(step = 0, dtype: "float32" | "float64" = "float32"): Decoder {
  return Decoder.load((name, shape) => {
    const values = tinyWeights(name, shape);
    return Tensor.from(step === 0 ? values : values.map((value) => Math.round(value / step) * step), shape).to(dtype);
  }, spec);
}

const [sequences, context] = [7, 12];
const ids = Int32Array.from({ length: sequences * context }, (_, i) => (i * i + 3 * i) % vocabulary);
const windows = { ids, sequences, context };

/** Log-probabilities of every position but the last of a window, by hand. */
function logProbabilities(model: Decoder, window: Int32Array): number[][] {
  const logits = [...scope(() => model.logits(tokenIds(spec, window, [1, context], "cpu")).toArray())].map(Number);
  return Array.from({ length: context - 1 }, (_, t) => {
    const row = logits.slice(t * vocabulary, (t + 1) * vocabulary);
    const total = Math.log(row.reduce((all, logit) => all + Math.exp(logit), 0));
    return row.map((logit) => logit - total);
  });
}

/** Logits `[tokens]` that are the same in every place, of a model that thinks nothing. */
function constant(logits: readonly number[]): ScoredModel {
  return {
    spec: { ...spec, vocabSize: logits.length } satisfies DecoderSpec,
    device: "cpu",
    hidden: (input) => Tensor.zeros([...input.shape, 1]),
    head: (hidden) => Tensor.from(Float32Array.from(logits)).expand([...hidden.shape.slice(0, -1), logits.length]),
  };
}

describe("compareModels", () => {
  it("gives what the logits give by hand, however it is batched", () => {
    // In float32 a BLAS rounds by its kernel and by the shape of a batch: near a zero norm that is 1e-5 of a logit.
    using reference = load(0, "float64");
    using model = load(0.1, "float64");
    const divergences: number[] = [];
    const differences: number[] = [];
    let [same, loss, referenceLoss] = [0, 0, 0];
    for (let w = 0; w < sequences; w++) {
      const window = ids.subarray(w * context, (w + 1) * context);
      const [ours, theirs] = [logProbabilities(model, window), logProbabilities(reference, window)];
      ours.forEach((q, t) => {
        const p = theirs[t] ?? [];
        const next = window[t + 1] ?? -1;
        const [own = Number.NaN, other = Number.NaN] = [q[next], p[next]];
        divergences.push(p.reduce((sum, value, v) => sum + Math.exp(value) * (value - (q[v] ?? 0)), 0));
        differences.push(Math.exp(own) - Math.exp(other));
        if (q.indexOf(Math.max(...q)) === p.indexOf(Math.max(...p))) same++;
        loss -= own;
        referenceLoss -= other;
      });
    }
    const count = divergences.length;
    const sorted = [...divergences].sort((a, b) => a - b);
    // 77 positions: the percentiles lie between two of them, but the median is one.
    const at = (place: number): number => sorted[place] ?? Number.NaN;
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = divergences.reduce((sum, value) => sum + (value - mean(divergences)) ** 2, 0) / (count - 1);
    for (const batchTokens of [1, 24, 4096]) {
      const result = compareModels(model, reference, windows, { batchTokens });
      const { divergence, probabilityDifference } = result;
      expect(result.tokens).toBe(count);
      expect(divergence.mean).toBeCloseTo(mean(divergences), 10);
      expect(divergence.stderr).toBeCloseTo(Math.sqrt(variance / count), 10);
      expect(divergence.median).toBeCloseTo(at(38), 10);
      expect(divergence.p95).toBeCloseTo(0.8 * at(72) + 0.2 * at(73), 10);
      expect(divergence.p99).toBeCloseTo(0.76 * at(75) + 0.24 * at(76), 10);
      expect(divergence.max).toBeCloseTo(at(76), 10);
      expect(divergence.mean).toBeGreaterThan(1e-4);
      expect(result.topAgreement).toBe(same / count);
      expect(probabilityDifference.mean).toBeCloseTo(mean(differences), 10);
      expect(probabilityDifference.rms).toBeCloseTo(Math.sqrt(mean(differences.map((d) => d * d))), 10);
      expect(result.perplexity).toBeCloseTo(Math.exp(loss / count), 9);
      expect(result.referencePerplexity).toBeCloseTo(Math.exp(referenceLoss / count), 9);
      expect(result.perplexityRatio).toBe(result.perplexity / result.referencePerplexity);
      expect(result.perplexity).toBeCloseTo(perplexity(model, windows).value, 3);
    }
  });

  it("finds a model equal to itself: divergence 0, agreement 1", () => {
    using model = load();
    using again = load();
    const result = compareModels(model, again, windows);
    expect(result.divergence).toEqual({ mean: 0, stderr: 0, median: 0, p95: 0, p99: 0, max: 0 });
    expect(result).toMatchObject({ topAgreement: 1, perplexityRatio: 1, probabilityDifference: { mean: 0, rms: 0 } });
  });

  it("is the divergence of the reference's distribution from the model's, not the other way round", () => {
    const model = constant([0, 0]);
    const reference = constant([Math.log(3), 0]);
    const result = compareModels(model, reference, { ids: Int32Array.of(0, 1), sequences: 1, context: 2 });
    // 3/4 log(3/4 / 1/2) + 1/4 log(1/4 / 1/2)
    expect(result.divergence.mean).toBeCloseTo(0.75 * Math.log(1.5) + 0.25 * Math.log(0.5), 6);
    expect(result.divergence.stderr).toBeNull();
    expect(result.probabilityDifference.mean).toBeCloseTo(0.25, 6);
  });

  it("tells differences that float32 sums would lose", () => {
    const logits = Array.from({ length: 4096 }, (_, i) => Math.fround(Math.sin(i) * 10));
    const shifted = logits.map((logit, i) => (i === 33 ? Math.fround(logit + 1e-3) : logit));
    const text = { ids: Int32Array.of(0, 1), sequences: 1, context: 2 };
    const { mean } = compareModels(constant(shifted), constant(logits), text).divergence;
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    const p = Math.exp(logits[33] ?? 0) / total;
    const step = (shifted[33] ?? 0) - (logits[33] ?? 0);
    // log(1 + p (e^step - 1)) - p step
    expect(mean / (Math.log1p(p * Math.expm1(step)) - p * step)).toBeCloseTo(1, 3);
  });

  it("leaves no tensor behind, also when the work is cancelled", () => {
    using model = load();
    using reference = load(0.1);
    const before = liveHandles();
    compareModels(model, reference, windows);
    const cancel = (done: number): void => {
      if (done > 0) throw new RangeError("cancelled");
    };
    const run = () => compareModels(model, reference, windows, { batchTokens: 12, onProgress: cancel });
    expect(run).toThrow("cancelled");
    expect(liveHandles()).toBe(before);
  });

  it("refuses another vocabulary, nothing to predict, and logits that are not finite, and says whose", () => {
    using model = load();
    const one = { ids: Int32Array.of(0, 1), sequences: 1, context: 2 };
    expect(() => compareModels(model, constant([0, 1]), one)).toThrow(/logits of 2 tokens, the model of 19/);
    expect(() => compareModels(model, model, { ids, sequences: 4, context: 1 })).toThrow(CalibrationError);
    const broken = constant([Number.NaN, 0]);
    expect(() => compareModels(broken, constant([0, 0]), one)).toThrow(ModelError);
    expect(() => compareModels(broken, constant([0, 0]), one)).toThrow(/the model's logits are not finite/);
    expect(() => compareModels(constant([0, 0]), broken, one)).toThrow(/the reference's logits are not finite/);
  });
});

describe("compareLogits", () => {
  it("is the same comparison, of logits that another runtime computed", () => {
    using model = load(0.1);
    using reference = load();
    const tokens = [...ids.subarray(0, context)];
    const logits = (of: Decoder): Float32Array =>
      scope(() => of.logits(tokenIds(spec, Int32Array.from(tokens), [1, context], "cpu")).toFloat32Array());
    const [ours, theirs] = [logits(model), logits(reference)];
    const result = compareLogits(ours, theirs, tokens);
    const whole = compareModels(model, reference, { ids: Int32Array.from(tokens), sequences: 1, context });
    expect(result.divergence).toBeCloseTo(whole.divergence.mean, 7);
    expect(result.perplexity).toBeCloseTo(whole.perplexity, 5);
    expect(result.referencePerplexity).toBeCloseTo(whole.referencePerplexity, 5);
    expect(result.topAgreement).toBe(whole.topAgreement);
    const counted = (context - 1) * vocabulary;
    const apart = ours.subarray(0, counted).map((logit, i) => Math.abs(logit - (theirs[i] ?? 0)));
    expect(result.largestDifference).toBeCloseTo(Math.max(...apart), 6);
    ours[3] = Number.NaN;
    expect(compareLogits(ours, theirs, tokens).divergence).toBeNaN();
  });
});
