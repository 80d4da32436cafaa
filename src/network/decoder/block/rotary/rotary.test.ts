import { expect, it } from "vitest";
import type { ModelConfig } from "../../../../checkpoint/model-config.js";
import { manualSeed, scope, Tensor } from "../../../../tensor/index.js";
import { rotaryOf } from "../../../testing/softmax-of.js";
import { goldens, tinyModel } from "../../../testing/tiny-models.js";
import { readSpec } from "../../spec/read-spec.js";
import { RotaryTable } from "./rotary.js";
import { rotaryAmplitude, rotaryFrequencies } from "./rotary-frequencies.js";

it.each(goldens.frequencies)("frequencies of transformers for $rope.rope_type", ({ rope, headDim, values }) => {
  const config = { ...tinyModel("llama").config, rope_parameters: rope } as ModelConfig;
  const frequencies = rotaryFrequencies({ ...rotaryOf(readSpec(config)), width: headDim });
  expect(frequencies).toHaveLength(values.length);
  values.forEach((value, i) => {
    expect((frequencies[i] ?? Number.NaN) / value).toBeCloseTo(1, 5);
  });
});

// Of LlamaRotaryEmbedding (transformers 5.24) with heads of 16 columns, a context of 1,024 and a base of 500,000: the first
// four frequencies, and the factor of cosines and sines.
const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 256 };
it.each([
  ["yarn", yarn, [1, 0.145442, 0.018803, 0.00182317], 1.138629436111989],
  ["yarn, factor null", { ...yarn, factor: null }, [1, 0.145442, 0.018803, 0.00182317], 1.138629436111989],
  ["yarn, no original context", { type: "yarn", factor: 4 }, [1, 0.157562, 0.0235038, 0.00319054], 1.138629436111989],
  [
    "yarn, everything given",
    { ...yarn, mscale: 0.7, mscale_all_dim: 1, truncate: false, beta_fast: 16 },
    [1, 0.15691, 0.0137423, 0.00182317],
    0.9634746568860826,
  ],
  ["linear inside, its base beside", { rope_type: "linear", factor: 4 }, [0.25, 0.0484807, 0.00940151, 0.00182317], 1],
  [
    "both names of the kind",
    { type: "linear", rope_type: "dynamic", factor: 4 },
    [1, 0.193923, 0.037606, 0.0072927],
    1,
  ],
])("%s: frequencies of transformers", (_name, rope_scaling, first, amplitude) => {
  const tiny = { ...tinyModel("llama").config, rope_parameters: null, head_dim: 16, max_position_embeddings: 1024 };
  const rotary = rotaryOf(readSpec({ ...tiny, rope_theta: 5e5, rope_scaling } as ModelConfig));
  const frequencies = rotaryFrequencies(rotary);
  first.forEach((value, i) => {
    expect((frequencies[i] ?? Number.NaN) / value).toBeCloseTo(1, 4);
  });
  expect(rotaryAmplitude(rotary.scaling)).toBeCloseTo(amplitude, 9);
});

const kinds = [
  { width: 8, pairs: "halves" },
  { width: 4, pairs: "halves" },
  { width: 8, pairs: "neighbours" },
  { width: 4, pairs: "neighbours" },
] as const;

it.each(kinds)("turns a quadratic form of turned heads back, on the average over the positions: %o", (kind) => {
  manualSeed(31);
  using table = RotaryTable.create({ theta: 100, scaling: { kind: "none" }, ...kind }, 8, 5, "cpu", "float64");
  scope(() => {
    const root = Tensor.randn([2, 8, 8], { dtype: "float64" });
    const form = root.matmul(root.transpose(1, 2));
    const heads = Tensor.randn([1, 2, 1, 8], { dtype: "float64" });
    // x^T R_l^T C R_l x at every position, whose mean the form gives at x itself.
    const turned = table.rotate(heads.expand([1, 2, 5, 8]).contiguous(), 0).select(0, 0);
    const there = turned.matmul(form).mul(turned).sum(-1).mean(1);
    const x = heads.select(0, 0);
    const here = x.matmul(table.unrotated(form, 5)).mul(x).sum(-1).reshape([2]);
    expect(here.sub(there).abs().amax().item()).toBeLessThan(1e-12 * there.amax().item());
  });
});

it.each(kinds)("turns the pairs that it says, and leaves the rest: %o", ({ width, pairs }) => {
  using table = RotaryTable.create({ theta: 100, scaling: { kind: "none" }, width, pairs }, 8, 4, "cpu", "float64");
  scope(() => {
    const x = Tensor.randn([1, 1, 4, 8], { dtype: "float64" });
    const turned = table.rotate(x, 0);
    const at = (y: Tensor, time: number): number[] =>
      [...y.select(0, 0).select(0, 0).select(0, time).toArray()].map(Number);
    for (let time = 0; time < 4; time++) {
      const [before, after] = [at(x, time), at(turned, time)];
      const expected = [...before];
      for (let pair = 0; pair < width / 2; pair++) {
        const [a, b] = pairs === "halves" ? [pair, pair + width / 2] : [2 * pair, 2 * pair + 1];
        const angle = time * 100 ** ((-2 * pair) / width);
        const [u = 0, v = 0] = [before[a], before[b]];
        expected[a] = u * Math.cos(angle) - v * Math.sin(angle);
        expected[b] = v * Math.cos(angle) + u * Math.sin(angle);
      }
      after.forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 12);
      });
    }
  });
});
