import { describe, expect, it } from "vitest";
import { backward, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { channelMoments } from "./channel-moments.js";

describe("the difference of channel moments", () => {
  const y = (): Tensor => Tensor.from(Float32Array.of(1, 2, 3, 4, 5, 6), [1, 2, 3]);
  const x = (): Tensor => Tensor.from(Float32Array.of(1, 9, 3, 8, 5, 6), [1, 2, 3]);

  it("is that of means and unbiased variances, or the squares of means and deviations", () => {
    scope(() => {
      expect(channelMoments(y(), x(), "mean").item()).toBeCloseTo(29 / 3, 5);
      expect(channelMoments(y(), x(), "squares").item()).toBeCloseTo(24.75, 5);
    });
  });

  it.each(["mean", "squares"] as const)("is 0 with finite gradients where nothing differs: %s", (form) => {
    scope(() => {
      manualSeed(1);
      const target = Tensor.randn([2, 5, 4]);
      const actual = target.clone().requiresGrad_();
      const loss = channelMoments(target, actual, form);
      backward(loss);
      expect(loss.item()).toBe(0);
      expect(actual.grad?.abs().amax().item()).toBe(0);
    });
  });

  it("takes one token, whose variance is none", () => {
    scope(() => expect(channelMoments(Tensor.ones([1, 1, 3]), Tensor.ones([1, 1, 3]), "mean").item()).toBe(0));
  });
});
