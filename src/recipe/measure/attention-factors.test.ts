import { describe, expect, it } from "vitest";
import { composedAttention } from "../../network/decoder/block/attention/attention.js";
import type { AttentionPlan, AttentionValues, HeadNorm } from "../../network/index.js";
import { SecondMoments } from "../../quant/second-moments.js";
import type { HeadFactors } from "../../quant/solver/row-column.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { liveHandles, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { AttentionFactors } from "./attention-factors.js";

const plan: AttentionPlan = {
  ...{ query: "q", key: "k", value: "v", output: "o", heads: 4, kvHeads: 2, headDim: 4 },
  scores: "pairs",
};
const [TIME, WIDTH] = [6, 5];

// Whoever asks for rows of the values needs a unit; nobody does here.
const unit = {} as QuantizedUnit;

function valuesOf(batch: number, slidingWindow: number | null): AttentionValues {
  return {
    input: Tensor.randn([batch, TIME, WIDTH], on),
    q: Tensor.randn([batch, 4, TIME, 4], on),
    k: Tensor.randn([batch, 2, TIME, 4], on),
    mix: (q, k, v) => composedAttention({ q, k, v, slidingWindow }),
    unrotated: (form) => form,
    headNorms: null,
  };
}

/** One sequence of those. */
function only(values: AttentionValues, i: number): AttentionValues {
  const { input, q, k } = values;
  return { ...values, input: input.narrow(0, i, 1), q: q.narrow(0, i, 1), k: k.narrow(0, i, 1) };
}

function measured(blockV: boolean, add: (factors: AttentionFactors) => void): AttentionFactors {
  const factors = new AttentionFactors(plan, { blockV, valueRows: false }, on.device);
  add(factors);
  return factors;
}

function of(factors: AttentionFactors, layer: string): HeadFactors {
  using moments = new SecondMoments(WIDTH, on.device);
  return factors.of(layer, unit, moments) as HeadFactors;
}

function difference(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().amax().item() / b.abs().amax().item();
}

describe("factors of attention", () => {
  it("are the inputs' own second moments for values that nothing mixes, and frees all that it held", () => {
    const before = liveHandles();
    scope(() => {
      manualSeed(21);
      const values = valuesOf(2, 1);
      using factors = measured(true, (sums) => sums.during([0, 1], (observe) => observe(values)));
      using plain = new SecondMoments(WIDTH, on.device);
      plain.add(values.input);
      const { columns, rows, heads } = of(factors, "v");
      expect([columns.length, rows, heads]).toEqual([2, null, 2]);
      // Two heads read each, so that every token counts twice.
      for (const { matrix, tokens } of columns) {
        expect(difference(matrix.div(tokens), plain.matrix.div(plain.tokens))).toBeLessThan(1e-6);
      }
    });
    expect(liveHandles()).toBe(before);
  });

  it("give what an error in the queries does to the scores of one sequence", () => {
    scope(() => {
      manualSeed(22);
      const values = valuesOf(1, null);
      using factors = measured(false, (sums) => sums.during([0], (observe) => observe(values)));
      using moments = new SecondMoments(WIDTH, on.device);
      moments.add(values.input);
      const { rows, heads } = of(factors, "q");
      expect(heads).toBe(4);
      const error = Tensor.randn([4, 4, WIDTH], on);
      // tr(R_h dW C dW^T), and |K_h^T dW X|^2 of the keys that head h reads.
      const cost = (rows as Tensor).mul(TIME).matmul(error).matmul(moments.matrix).mul(error).reshape([4, -1]).sum(1);
      const keys = values.k.select(0, 0).repeatInterleave(2, 0);
      const scores = keys.matmul(error).matmul(values.input.select(0, 0).transpose(0, 1));
      expect(difference(cost, scores.square().reshape([4, -1]).sum(1))).toBeLessThan(1e-5);
    });
  });

  it("give what an error in the keys does to the scores of all heads that share them", () => {
    scope(() => {
      manualSeed(23);
      const values = valuesOf(1, null);
      using factors = measured(false, (sums) => sums.during([0], (observe) => observe(values)));
      const { rows, heads } = of(factors, "k");
      const queries = values.q.select(0, 0).reshape([2, 2 * TIME, 4]);
      expect(heads).toBe(2);
      expect(difference((rows as Tensor).mul(TIME), queries.transpose(1, 2).matmul(queries))).toBeLessThan(1e-5);
    });
  });

  it("take the direction out that a norm over heads takes out, and its gains in", () => {
    scope(() => {
      manualSeed(24);
      const direction = Tensor.from(Float32Array.from([1, 2, -2, 4]), [4], on);
      const gains = Tensor.from(Float32Array.from([1, 0.5, 2, 1]), [4], on);
      const alike = (heads: number): HeadNorm => ({ before: direction.expand([1, TIME, heads, 4]).mul(3), gains });
      const values = { ...valuesOf(1, null), headNorms: { q: alike(4), k: alike(2) } };
      using factors = measured(false, (sums) => sums.during([0], (observe) => observe(values)));
      using without = measured(false, (sums) => sums.during([0], (observe) => observe({ ...values, headNorms: null })));
      const rows = of(factors, "k").rows as Tensor;
      expect(rows.matmul(direction.unsqueeze(1)).abs().amax().item()).toBeLessThan(1e-4);
      // P G R G P of the first head, at vectors that the norm lets pass as they are.
      const other = Tensor.from(Float32Array.from([2, -1, 0, 0]), [4, 1], on);
      const at = (form: Tensor, v: Tensor): number => v.transpose(0, 1).matmul(form.select(0, 0)).matmul(v).item();
      const expected = at(of(without, "k").rows as Tensor, other.mul(gains.unsqueeze(1)));
      expect(at(rows, other) / expected).toBeCloseTo(1, 4);
    });
  });

  it("count each sequence once where memory runs out on the way", () => {
    scope(() => {
      manualSeed(25);
      const values = valuesOf(3, null);
      using whole = measured(true, (sums) => sums.during([0, 1, 2], (observe) => observe(values)));
      let calls = 0;
      const failing = (fail: number): AttentionValues["mix"] => {
        calls = 0;
        return (q, k, v) => {
          if (++calls === fail) throw new Error("out of memory");
          return values.mix(q, k, v);
        };
      };
      using parts = measured(true, (sums) => {
        // Sequence 0 is done, of sequence 1 all but the mixed inputs.
        const work = (): void => sums.during([0, 1, 2], (observe) => observe({ ...values, mix: failing(2) }));
        expect(work).toThrow("out of memory");
        for (const i of [0, 1, 2]) sums.during([i], (observe) => observe(only(values, i)));
      });
      for (const layer of ["q", "k"]) {
        expect(difference(of(parts, layer).rows as Tensor, of(whole, layer).rows as Tensor)).toBeLessThan(1e-6);
      }
      const [some, all] = [of(parts, "v").columns, of(whole, "v").columns];
      for (const [i, { matrix, tokens }] of all.entries()) {
        expect(some[i]?.tokens).toBe(tokens);
        expect(difference(some[i]?.matrix as Tensor, matrix)).toBeLessThan(1e-6);
      }
    });
  });

  it("say nothing where they are not finite, and of other Linears", () => {
    scope(() => {
      const values = valuesOf(1, null);
      const broken = { ...values, k: values.k.mul(Number.NaN) };
      using factors = measured(false, (sums) => sums.during([0], (observe) => observe(broken)));
      expect(of(factors, "q")).toBeNull();
      expect(of(factors, "k")).not.toBeNull();
      expect(of(factors, "up")).toBeNull();
    });
  });
});
