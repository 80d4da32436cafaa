import { describe, expect, it } from "vitest";
import { backward, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { kurtosis } from "./kurtosis.js";

const of = (...values: number[]): Tensor => Tensor.from(Float64Array.from(values), [1, values.length]);

/** The same out of libtorch's operators, which differentiates it by itself. */
function composed(y: Tensor): Tensor {
  const centred = y.sub(y.mean(-1, true));
  const variance = centred.square().mean(-1);
  return centred.pow(4).mean(-1).div(variance.square().add(1e-8));
}

describe("the kurtosis of tokens", () => {
  it("is 43/7 of a one-hot in eight features, 1.8 of a uniform grid, and 0 of a constant", () => {
    scope(() => {
      expect(kurtosis(of(0, 0, 1, 0, 0, 0, 0, 0)).item()).toBeCloseTo(43 / 7, 4);
      // (9 / 5) (n^2 - 7 / 3) / (n^2 - 1) of n equal steps.
      const grid = of(...Array.from({ length: 2001 }, (_, i) => i / 1000 - 1));
      expect(kurtosis(grid).item()).toBeCloseTo(1.8, 5);
      expect(kurtosis(of(3, 3, 3, 3)).item()).toBe(0);
    });
  });

  it("is taken of each token by itself, and near 3 for normal numbers", () => {
    scope(() => {
      manualSeed(4);
      const y = Tensor.randn([2, 3, 4000]);
      const all = kurtosis(y);
      expect(all.shape).toEqual([2, 3]);
      const one = kurtosis(y.narrow(0, 1, 1).narrow(1, 2, 1));
      expect(all.select(0, 1).narrow(0, 2, 1).item()).toBeCloseTo(one.item(), 4);
      expect(Math.abs(all.mean().item() - 3)).toBeLessThan(0.2);
    });
  });

  it("has the gradient of its formula, and of differences", () => {
    scope(() => {
      manualSeed(7);
      const y = Tensor.randn([3, 5, 12]).to("float64");
      const weight = Tensor.randn([3, 5]).to("float64");
      const [ours, theirs] = [y.clone().requiresGrad_(), y.clone().requiresGrad_()];
      backward(kurtosis(ours).mul(weight).sum());
      backward(composed(theirs).mul(weight).sum());
      const gradient = ours.grad as Tensor;
      expect(
        gradient
          .sub(theirs.grad as Tensor)
          .abs()
          .amax()
          .item(),
      ).toBeLessThan(1e-12);
      const step = Tensor.zeros([3, 5, 12], { dtype: "float64" });
      step.select(0, 1).select(0, 2).narrow(0, 4, 1).fill_(1e-5);
      const slope =
        kurtosis(y.add(step))
          .sub(kurtosis(y.sub(step)))
          .mul(weight)
          .sum()
          .item() / 2e-5;
      expect(gradient.mul(step).sum().item() / 1e-5).toBeCloseTo(slope, 6);
    });
  });

  it("gives a gradient of 0 where nothing varies, and keeps the dtype of the products", () => {
    scope(() => {
      const constant = Tensor.full([2, 6], 0.5, on).requiresGrad_();
      backward(kurtosis(constant).sum());
      expect(constant.grad?.abs().amax().item()).toBe(0);
      const narrow = Tensor.randn([2, 6], on).to("bfloat16").requiresGrad_();
      const values = kurtosis(narrow);
      expect(values.dtype).toBe("float32");
      backward(values.sum());
      expect(narrow.grad?.dtype).toBe("bfloat16");
    });
  });
});
