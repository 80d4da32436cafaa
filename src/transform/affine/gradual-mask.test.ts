import { describe, expect, it } from "vitest";
import { backward, callTensor, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { bandWidth, dominantAlpha, fillBand, isDominant } from "./gradual-mask.js";
import { diagonalMatrix, inverse, invertDominant } from "./inverse.js";

function identity(n: number): Tensor {
  return diagonalMatrix(Tensor.ones([n], on));
}

/** All ones, those beside the diagonal times `alpha`. */
function ones(alpha: number): Tensor {
  return identity(4)
    .mul(1 - alpha)
    .add(alpha);
}

/** Largest singular value over the smallest. */
function condition(matrix: Tensor): number {
  return callTensor("aten::linalg_cond", [matrix.to("cpu").to("float64")]).item();
}

describe("the gradual mask", () => {
  it("widens from the diagonal in the first epoch to all in the last", () => {
    expect([0, 1, 2, 3, 4].map((epoch) => bandWidth(epoch, 5, 9))).toEqual([0, 2, 4, 6, 8]);
    // What the paper's formula divides by zero for.
    expect(bandWidth(0, 1, 9)).toBe(8);
    scope(() => {
      const band = Tensor.zeros([4, 4], on);
      fillBand(band, 1);
      expect([...band.toFloat32Array()]).toEqual([0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0]);
      fillBand(band, 3);
      expect(band.sum().item()).toBe(12);
      fillBand(band, 0);
      expect(band.abs().sum().item()).toBe(0);
    });
  });
});

describe("dominance after Levy and Desplanques", () => {
  it("is sufficient for an inverse, and not necessary", () => {
    scope(() => {
      expect([isDominant(ones(0.3)), isDominant(ones(0.34))]).toEqual([true, false]);
      expect(condition(ones(0.3))).toBeCloseTo(2.714, 3);
      expect(condition(ones(0.34))).toBeCloseTo(3.06, 2);
    });
  });

  it("shrinks the alpha of matrices that lack it, and of no other", () => {
    scope(() => {
      const band = Tensor.zeros([4, 4], on);
      fillBand(band, 3);
      const matrix = Tensor.stack([ones(1), ones(1).add(identity(4))]);
      const of = (alpha: number): number[] => [
        ...dominantAlpha({ matrix, band, alpha: Tensor.full([2, 1, 1], alpha, on) }).toFloat32Array(),
      ];
      expect(of(0.3)).toEqual([Math.fround(0.3), Math.fround(0.3)]);
      const [shrunk, kept] = of(0.34) as [number, number];
      expect(kept).toBeCloseTo(0.34, 6);
      expect(shrunk).toBeLessThan(1 / 3);
      expect(shrunk).toBeGreaterThan(0.3);
      expect(isDominant(ones(shrunk))).toBe(true);
      // An empty band asks for nothing.
      fillBand(band, 0);
      expect(of(5)).toEqual([5, 5]);
    });
  });
});

describe("the inverse of dominant matrices", () => {
  const matrices = (count: number, n: number): Tensor => {
    manualSeed(41);
    const beside = Tensor.randn([count, n, n], on);
    const scale = Tensor.randn([count, n, 1], on).exp();
    const sums = beside.abs().sum(-1, true);
    // Rows whose own element outweighs the others by a twentieth, of very different sizes.
    return beside
      .div(sums)
      .mul(0.95)
      .add(identity(n).mul(beside.neg().div(sums).mul(0.95).add(1)))
      .mul(scale);
  };

  it("is that of a factorisation in fp64", () => {
    scope(() => {
      const wide = matrices(3, 24).to("float64");
      const expected = callTensor("aten::linalg_inv", [wide.to("cpu")]);
      const difference = invertDominant(wide).to("cpu").sub(expected).abs().amax().item();
      expect(difference / expected.abs().amax().item()).toBeLessThan(1e-13);
    });
  });

  it("has the gradient of autograd", () => {
    scope(() => {
      const [ours, theirs] = [0, 1].map(() => matrices(2, 6).detach().requiresGrad_()) as [Tensor, Tensor];
      manualSeed(42);
      const seed = Tensor.randn([2, 6, 6], on);
      backward(inverse(ours).mul(seed).sum());
      backward(callTensor("aten::linalg_inv", [theirs]).mul(seed).sum());
      const [a, b] = [ours.grad as Tensor, theirs.grad as Tensor];
      expect(a.sub(b).abs().amax().item() / b.abs().amax().item()).toBeLessThan(1e-4);
    });
  });
});
