import { describe, expect, it } from "vitest";
import { composedSoftRound, penalised } from "../../../quant/weight-path/soft-round.js";
import { backward, scope, Tensor } from "../../../tensor/index.js";
import { on } from "../../../tensor/testing/test-device.js";
import { channelError } from "./channel-error.js";
import { fisherWeight } from "./fisher.js";

describe("the error of an output", () => {
  it("is summed over channels, in the mean over examples and positions", () => {
    scope(() => {
      const zero = Tensor.zeros([2, 3, 4, 5], on);
      expect(channelError(zero, zero.add(2)).item()).toBeCloseTo(12, 5);
      expect(channelError(zero, zero.add(2), 3).item()).toBeCloseTo(24, 5);
      // Positions come second in what a transformer gives.
      const rows = Tensor.zeros([2, 7, 3], on);
      expect(channelError(rows, rows.sub(1)).item()).toBeCloseTo(3, 5);
      expect(channelError(Tensor.zeros([4, 6], on), Tensor.full([4, 6], 1, on)).item()).toBeCloseTo(6, 5);
    });
  });

  it("is the plain one where damped gradients are zero, as in the released code", () => {
    scope(() => {
      const [target, actual] = [Tensor.randn([2, 3, 4, 4], on), Tensor.randn([2, 3, 4, 4], on)];
      const none = fisherWeight(Tensor.zeros(target.shape, on), "damped");
      expect(channelError(target, actual, 2, none).item()).toBe(channelError(target, actual).item());
    });
  });

  it("counts each number by the square of its gradient, over the mean square", () => {
    scope(() => {
      const gradient = Tensor.from(Float32Array.of(1, -3), [1, 2]).to(on.device);
      expect([...fisherWeight(gradient, "squared", 5).toFloat32Array()]).toEqual([
        expect.closeTo(0.2, 6),
        expect.closeTo(1.8, 6),
      ]);
      expect([...fisherWeight(gradient, "damped").toFloat32Array()]).toEqual([4, 16]);
    });
  });
});

describe("AdaRound's soft choice", () => {
  it("begins at the weight itself, cut off where its range ends", () => {
    scope(() => {
      const weight = Tensor.randn([4, 1, 50]).to("float64");
      const scale = Tensor.full([4, 1, 1], 0.7).to("float64");
      const zeroPoint = Tensor.full([4, 1, 1], 3).to("float64");
      const zero = Tensor.zeros([4, 50]).to("float64");
      const soft = composedSoftRound(
        {
          weight,
          startScale: scale,
          start: null,
          offset: { left: null, right: zero },
          grid: { bits: 3, symmetric: true, scale, zeroPoint },
        },
        null,
      );
      const cut = weight.clamp(-3 * 0.7, 4 * 0.7);
      expect(weight.sub(cut).abs().amax().item()).toBeGreaterThan(0);
      // 0.7 is what fp32 has of it.
      const bounds = [scale.mul(-3), scale.mul(4)] as const;
      const exact = weight.maximum(bounds[0]).minimum(bounds[1]);
      expect(soft.sub(exact).abs().amax().item()).toBeLessThan(1e-12);
    });
  });

  // 1 - |2 h - 1|^beta is 0 at h = 1, so that its value at 0.9 is minus what its slope comes to from there on.
  it.each([
    [20, 0.988],
    [2, 0.36],
  ])("is pulled by a penalty with the exponent %d, whose value at 0.9 is %d", (beta, value) => {
    scope(() => {
      const steps = 4000;
      const places = Array.from({ length: steps }, (_, i) => 0.9 + (0.1 * (i + 0.5)) / steps);
      const h = Tensor.from(Float64Array.from(places)).requiresGrad_();
      const penalty = Tensor.from(Float64Array.of(steps, beta));
      backward(penalised(h, penalty).sum().mul(0));
      const slope = h.grad?.toFloat32Array().reduce((sum, each) => sum + each, 0) ?? 0;
      expect((-slope * 0.1) / steps).toBeCloseTo(value, 3);
    });
  });
});
