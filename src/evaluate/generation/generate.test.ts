import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../calibration/seeded-random.js";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { type ModelConfig, readModelConfig } from "../../checkpoint/model-config.js";
import { CalibrationError, OptionError } from "../../errors.js";
import { checkpointSource, Decoder, readSpec } from "../../network/index.js";
import { tinyModel, tinyWeights } from "../../network/testing/tiny-models.js";
import { liveHandles, scope, Tensor } from "../../tensor/index.js";
import { generate } from "./generate.js";
import { PromptCache } from "./prompt-cache.js";
import { sampleToken } from "./sample-token.js";

function tinyDecoder(name = "llama"): Decoder {
  const spec = readSpec(tinyModel(name).config as ModelConfig);
  return Decoder.load((tensor, shape) => Tensor.from(tinyWeights(tensor, shape), shape), spec);
}

const prompt = Int32Array.of(3, 10, 17, 5);

/** Greedy continuation without a cache. */
function slowly(decoder: Decoder, tokens: number): number[] {
  const ids = [...prompt];
  for (let i = 0; i < tokens; i++) {
    ids.push(
      scope(() =>
        Number(
          decoder
            .logits(Tensor.from(Int32Array.from(ids), [1, ids.length]).to("int64"))
            .select(1, ids.length - 1)
            .argmax(-1)
            .item(),
        ),
      ),
    );
  }
  return ids.slice(prompt.length);
}

describe("generate", () => {
  it.each(["llama", "mistral, window of 4", "opt"])("takes the likeliest tokens, as without a cache: %s", (name) => {
    using decoder = tinyDecoder(name);
    expect([...generate(decoder, prompt, { tokens: 20 })]).toEqual(slowly(decoder, 20));
  });

  it("samples the same for the same seed, and something else for another", () => {
    using decoder = tinyDecoder();
    const sample = (seed: number): number[] => [...generate(decoder, prompt, { tokens: 30, temperature: 1, seed })];
    expect(sample(1)).toEqual(sample(1));
    expect(sample(1)).not.toEqual(sample(2));
    expect(sample(1)).not.toEqual(slowly(decoder, 30));
  });

  it("ends at a stop token, without yielding it", () => {
    using decoder = tinyDecoder();
    const [first = -1, ...rest] = slowly(decoder, 20);
    expect([...generate(decoder, prompt, { stop: new Set([first]) })]).toEqual([]);
    const other = rest.find((token) => token !== first);
    if (other !== undefined) {
      const until = [first, ...rest].slice(0, [first, ...rest].indexOf(other));
      expect([...generate(decoder, prompt, { stop: new Set([other]) })]).toEqual(until);
    }
  });

  it("ends where the model's context ends", () => {
    using decoder = tinyDecoder();
    expect([...generate(decoder, prompt, { tokens: 1000 })]).toHaveLength(64 - prompt.length);
  });

  it("says why it ended", () => {
    using decoder = tinyDecoder();
    const ending = (options: Parameters<typeof generate>[2]): unknown => {
      const running = generate(decoder, prompt, options);
      for (;;) {
        const next = running.next();
        if (next.done === true) return next.value;
      }
    };
    expect(ending({ tokens: 3 })).toBe("tokens");
    expect(ending({ tokens: 61 })).toBe("context");
    expect(ending({ tokens: 60 })).toBe("tokens");
    expect(ending({ stop: new Set(slowly(decoder, 1)) })).toBe("stop token");
  });

  it("computes only what a prompt does not share with the text before, and gives the same", () => {
    using decoder = tinyDecoder();
    using cache = new PromptCache(decoder);
    const first = [...generate(decoder, prompt, { tokens: 8 }, cache)];
    expect(first).toEqual(slowly(decoder, 8));
    // The last token was yielded and not looked at.
    expect(cache.length).toBe(prompt.length + 7);
    const longer = Int32Array.from([...prompt, ...first.slice(0, 5), 9, 13, 2]);
    expect(cache.begin(longer)).toEqual(Int32Array.of(9, 13, 2));
    expect(cache.length).toBe(prompt.length + 5);
    const alone = [...generate(decoder, longer, { tokens: 8 })];
    expect([...generate(decoder, longer, { tokens: 8 }, cache)]).toEqual(alone);
    // The same again: its last token is computed once more, because its logits are needed.
    expect([...generate(decoder, longer, { tokens: 8 }, cache)]).toEqual(alone);
    // And after one that was left in the middle.
    for (const token of generate(decoder, longer, {}, cache)) if (token >= 0) break;
    expect([...generate(decoder, prompt, { tokens: 8 }, cache)]).toEqual(first);
  });

  it("frees its caches, also when the caller leaves early", () => {
    using decoder = tinyDecoder();
    const before = liveHandles();
    for (const token of generate(decoder, prompt)) {
      expect(liveHandles()).toBeGreaterThan(before);
      if (token >= 0) break;
    }
    expect(liveHandles()).toBe(before);
  });

  it.each([0, 64])("refuses a prompt of %s tokens", (length) => {
    using decoder = tinyDecoder();
    const run = () => [...generate(decoder, new Int32Array(length))];
    expect(run).toThrow(CalibrationError);
    expect(run).toThrow(/1 to 63 tokens/);
  });

  it.each([{ temperature: -1 }, { temperature: Number.NaN }, { topK: 0 }, { topK: 1.5 }, { topP: 0 }, { topP: 1.1 }])(
    "refuses %o",
    (options) => {
      using decoder = tinyDecoder();
      const run = () => [...generate(decoder, prompt, options)];
      expect(run).toThrow(OptionError);
      expect(run).toThrow(/Next: use /);
    },
  );

  it("continues a text as transformers does", async () => {
    const folder = resolve(import.meta.dirname, "../../../models/sotu-llama-7m");
    using checkpoint = await Checkpoint.open(folder);
    using decoder = Decoder.load(
      checkpointSource(checkpoint, { device: "cpu", dtype: "float32" }),
      readSpec(await readModelConfig(folder)),
    );
    // "Fellow-Citizens", then "of the Senate and House of Representatives: The Constitution which has been passed ...".
    // (In transformers with an explicit attention mask: it would take the start token 0 for padding otherwise.)
    const start = Int32Array.of(0, 38, 69, 1036, 13, 35, 726, 514);
    const greedy = [
      268, 260, 1628, 284, 1990, 268, 2577, 26, 351, 1500, 368, 400, 402, 1827, 349, 260, 1628, 400, 402, 260,
    ];
    expect([...generate(decoder, start, { tokens: greedy.length })]).toEqual(greedy);
  });
});

describe("sampleToken", () => {
  const logits = Float32Array.of(1, 3, 2, -1, 3);
  const probabilities = (temperature: number): number[] => {
    const weights = [...logits].map((logit) => Math.exp(logit / temperature));
    const total = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / total);
  };
  const frequencies = (options: Parameters<typeof sampleToken>[1], draws = 20_000): number[] => {
    const random = new SeededRandom(11);
    const counts = new Array<number>(logits.length).fill(0);
    for (let i = 0; i < draws; i++) {
      const token = sampleToken(logits, options, random);
      counts[token] = (counts[token] ?? 0) + 1 / draws;
    }
    return counts;
  };

  it("takes the first of the likeliest at temperature 0", () => {
    expect(frequencies({}, 10)).toEqual([0, expect.closeTo(1), 0, 0, 0]);
  });

  it.each([1, 0.5, 3])("draws with the model's probabilities at temperature %s", (temperature) => {
    const expected = probabilities(temperature);
    for (const [i, frequency] of frequencies({ temperature }).entries()) {
      expect(Math.abs(frequency - (expected[i] ?? 0))).toBeLessThan(0.015);
    }
  });

  it("draws among topK only", () => {
    const [a, b, c, d, e] = frequencies({ temperature: 1, topK: 2 });
    expect([a, c, d]).toEqual([0, 0, 0]);
    expect(b).toBeCloseTo(0.5, 1);
    expect(e).toBeCloseTo(0.5, 1);
  });

  it("draws among the fewest tokens that reach topP", () => {
    // The two likeliest have 0.80 of the probability together, the third 0.15.
    expect(frequencies({ temperature: 1, topP: 0.79 })[2]).toBe(0);
    expect(frequencies({ temperature: 1, topP: 0.85 })[2]).toBeGreaterThan(0.1);
    expect(frequencies({ temperature: 1, topP: 0.85 })[0]).toBe(0);
    expect(frequencies({ temperature: 1, topP: 1e-9 }, 10)[1]).toBeCloseTo(1);
  });
});
