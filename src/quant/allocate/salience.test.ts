import { describe, expect, it } from "vitest";
import { manualSeed, scope, Tensor } from "../../tensor/index.js";
import { SecondMoments } from "../second-moments.js";
import { groupSalience, salience, salientWeights } from "./salience.js";

function momentsOf(x: Tensor): SecondMoments {
  const moments = new SecondMoments(x.size(1), "cpu");
  scope(() => moments.add(x));
  return moments;
}

describe("the salience of weights", () => {
  it("is w^2 / [H^-1]_jj^2, or w^2 / U_jj^2 as in the released code", () => {
    scope(() => {
      // X^T X / 2 = [[2, 1], [1, 2]], whose inverse has 2/3 on its diagonal and the factor [[sqrt(2/3), ..], [0, sqrt(1/2)]].
      using moments = momentsOf(Tensor.from(Float32Array.of(2, 1, 0, Math.sqrt(3)), [2, 2]));
      const before = [...moments.matrix.toFloat32Array()];
      const weight = Tensor.from(Float32Array.of(1, 1, -2, 3), [2, 2]);
      const of = (by: "inverse" | "factor"): number[] => [...salience(weight, moments, 1e-9, by).toFloat32Array()];
      for (const [i, expected] of [2.25, 2.25, 9, 20.25].entries()) expect(of("inverse")[i]).toBeCloseTo(expected, 4);
      for (const [i, expected] of [1.5, 2, 6, 18].entries()) expect(of("factor")[i]).toBeCloseTo(expected, 4);
      // Released code adds its damping to the matrix that GPTQ reads afterwards.
      expect([...moments.matrix.toFloat32Array()]).toEqual(before);
    });
  });

  it("differs most between both at the last column, and not at the first in what is squared", () => {
    scope(() => {
      manualSeed(4);
      using moments = momentsOf(Tensor.randn([200, 64]).matmul(Tensor.randn([64, 64])));
      const ones = Tensor.full([1, 64], 1);
      const of = (by: "inverse" | "factor"): Float32Array => salience(ones, moments, 0.01, by).toFloat32Array();
      const [inverse, factor] = [of("inverse"), of("factor")];
      // U_jj^2 / [H^-1]_jj, of 1 / U_jj^2 and 1 / [H^-1]_jj^2.
      const share = (j: number): number => Math.sqrt(inverse[j] ?? 0) / (factor[j] ?? 0);
      expect(share(0)).toBeCloseTo(1, 4);
      expect(share(63)).toBeLessThan(0.2);
    });
  });

  it("is summed over the weights of a group of columns", () => {
    scope(() => {
      const each = Tensor.from(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), [2, 4]);
      expect(groupSalience(each, 2)).toEqual([14, 22]);
    });
  });

  it("marks what is more than two deviations from its group's mean, and nothing where all are alike", () => {
    scope(() => {
      const alike = Tensor.full([2, 1, 16], 0.1);
      expect(salientWeights(alike).sum().item()).toBe(0);
      const values = Float32Array.from({ length: 16 }, (_, i) => (i === 5 ? 9 : 1));
      const marked = [...salientWeights(Tensor.from(values, [1, 1, 16])).toFloat32Array()];
      expect(marked).toEqual([...values].map((value) => (value > 1 ? 1 : 0)));
    });
  });
});
