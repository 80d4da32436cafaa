import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { Checkpoint } from "../checkpoint/checkpoint.js";
import { type ModelConfig, readModelConfig } from "../checkpoint/model-config.js";
import { CalibrationError, ModelError } from "../errors.js";
import { checkpointSource, Decoder, type DecoderSpec, readSpec } from "../network/index.js";
import { tinyModel, tinyWeights } from "../network/testing/tiny-models.js";
import { liveHandles, scope, Tensor } from "../tensor/index.js";
import { sumCrossEntropy } from "./cross-entropy.js";
import { perplexity, type ScoredModel } from "./perplexity.js";

const spec = readSpec(tinyModel("llama").config as ModelConfig);

function tinyDecoder(): Decoder {
  return Decoder.load((name, shape) => Tensor.from(tinyWeights(name, shape), shape), spec);
}

/** `count` ids below 19. */
const idsOf = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => (i * i + 3 * i) % 19);

/** A model that knows nothing: all logits equal. */
function uniform(vocabSize: number): ScoredModel {
  return {
    spec: { ...spec, vocabSize } satisfies DecoderSpec,
    device: "cpu",
    hidden: (ids) => Tensor.zeros([...ids.shape, 1]),
    head: (hidden) => Tensor.zeros([...hidden.shape.slice(0, -1), vocabSize]),
  };
}

describe("perplexity", () => {
  it("is the vocabulary's size for a model that knows nothing", () => {
    const result = perplexity(uniform(19), { ids: idsOf(24), sequences: 3, context: 8 });
    expect(result.value).toBeCloseTo(19, 4);
    expect(result.tokens).toBe(21);
  });

  it("is the mean over tokens 2..n of every sequence on its own, however they are batched", () => {
    using decoder = tinyDecoder();
    const [sequences, context] = [5, 12];
    const ids = idsOf(sequences * context);
    let sum = 0;
    for (let w = 0; w < sequences; w++) {
      const window = ids.subarray(w * context, (w + 1) * context);
      const logits = scope(() => decoder.logits(Tensor.from(window, [1, context]).to("int64")).toFloat32Array());
      for (let t = 0; t + 1 < context; t++) {
        const row = logits.subarray(t * 19, (t + 1) * 19);
        const total = row.reduce((all, logit) => all + Math.exp(logit), 0);
        sum += Math.log(total) - (row[window[t + 1] ?? -1] ?? Number.NaN);
      }
    }
    const expected = sum / (sequences * (context - 1));
    for (const batchTokens of [1, 24, 1000]) {
      const seen: number[] = [];
      const options = { batchTokens, onProgress: (done: number) => seen.push(done) };
      const result = perplexity(decoder, { ids, sequences, context }, options);
      expect(result.loss).toBeCloseTo(expected, 5);
      expect(result.value).toBeCloseTo(Math.exp(expected), 3);
      expect(seen.at(-1)).toBe(sequences);
    }
  });

  it("makes large logits in parts", () => {
    scope(() => {
      // 3 million columns: 11 rows at a time.
      const rows = 25;
      const counts: number[] = [];
      const head = (x: Tensor): Tensor => {
        counts.push(x.size(0));
        return x.expand([x.size(0), 3_000_000]);
      };
      const total = sumCrossEntropy(head, Tensor.zeros([rows, 1]), Tensor.zeros([rows], { dtype: "int64" }), 3_000_000);
      expect(total / rows).toBeCloseTo(Math.log(3_000_000), 3);
      expect(counts).toEqual([11, 11, 3]);
    });
  });

  it("leaves no tensor behind, also when the work is cancelled", () => {
    using decoder = tinyDecoder();
    const windows = { ids: idsOf(24), sequences: 3, context: 8 };
    const before = liveHandles();
    perplexity(decoder, windows);
    const cancel = (done: number): void => {
      if (done > 0) throw new RangeError("cancelled");
    };
    expect(() => perplexity(decoder, windows, { batchTokens: 8, onProgress: cancel })).toThrow("cancelled");
    expect(liveHandles()).toBe(before);
  });

  it("refuses what holds nothing to predict, ids of another vocabulary, and contexts that are too long", () => {
    using decoder = tinyDecoder();
    const failing = (ids: Int32Array, sequences: number, context: number) => () =>
      perplexity(decoder, { ids, sequences, context });
    expect(failing(idsOf(4), 4, 1)).toThrow(CalibrationError);
    expect(failing(idsOf(4), 4, 1)).toThrow(/--context 2/);
    expect(failing(Int32Array.of(1, 19), 1, 2)).toThrow(/tokenizer\.json/);
    expect(failing(idsOf(65), 1, 65)).toThrow(/--context 64/);
  });

  it("says so when the logits are not finite", () => {
    const broken = { ...uniform(19), head: (x: Tensor) => Tensor.full([x.size(0), 19], Number.NaN) };
    const run = () => perplexity(broken, { ids: idsOf(8), sequences: 1, context: 8 });
    expect(run).toThrow(ModelError);
    expect(run).toThrow(/evaluate in float32/);
  });
});

describe("sotu-llama-7m", () => {
  const folder = resolve(import.meta.dirname, "../../models/sotu-llama-7m");

  it("has the perplexity of transformers on a sentence", async () => {
    using checkpoint = await Checkpoint.open(folder);
    using decoder = Decoder.load(
      checkpointSource(checkpoint, { device: "cpu", dtype: "float32" }),
      readSpec(await readModelConfig(folder)),
    );
    const { ids, value } = sentence;
    const result = perplexity(decoder, { ids: Int32Array.from(ids), sequences: 1, context: ids.length });
    expect(result.value / value).toBeCloseTo(1, 4);
  });
});

/** "Fellow-Citizens of the Senate ... during the year.", and the perplexity that transformers gives it in float32. */
const sentence = {
  ids: [
    0, 38, 69, 1036, 13, 35, 726, 514, 268, 260, 1628, 284, 268, 260, 1990, 268, 2577, 26, 260, 1304, 268, 260, 1139,
    326, 811, 12, 284, 743, 345, 406, 908, 400, 402, 1211, 2562, 905, 260, 456, 14,
  ],
  value: 6.22023,
};
