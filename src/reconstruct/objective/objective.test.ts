import { describe, expect, it } from "vitest";
import { gradientsOf, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { reconstructionError } from "./objective.js";

describe("reconstruction error", () => {
  // Two tokens of two features: errors (1, 0) and (0, 2), squared magnitudes 2 and 8 (means 1 and 4).
  const target = [1, 1, 2, -2];
  const actual = [2, 1, 2, 0];
  const error = (l2: "plain" | "token", klWeight = 0): number =>
    scope(() => {
      const tensor = (values: number[]): Tensor => Tensor.from(Float32Array.from(values), [1, 2, 2], on);
      return reconstructionError(tensor(target), tensor(actual), { l2, l2Weight: 1, klWeight }).item();
    });

  it("is the mean squared error, plain or token by token", () => {
    expect(error("plain")).toBeCloseTo(5 / 4, 6);
    expect(error("token")).toBeCloseTo((0.5 / 1 + 2 / 4) / 2, 6);
  });

  it("sums bf16 in fp32, with the gradient in bf16", () => {
    scope(() => {
      manualSeed(2);
      const [y, x] = [Tensor.randn([2, 9, 45], on).to("bfloat16"), Tensor.randn([2, 9, 45], on).to("bfloat16")];
      const options = { l2: "token", l2Weight: 1, klWeight: 0 } as const;
      const wide = x.detach().to("float32").requiresGrad_();
      const [narrow, exact] = [
        reconstructionError(y, x.requiresGrad_(), options),
        reconstructionError(y.to("float32"), wide, options),
      ];
      expect(narrow.dtype).toBe("float32");
      expect(narrow.item() / exact.item()).toBeCloseTo(1, 5);
      const [[gradient], [expected]] = [gradientsOf([narrow], [x]), gradientsOf([exact], [wide])];
      expect(gradient?.dtype).toBe("bfloat16");
      const lost = gradient?.to("float32").sub(expected as Tensor);
      expect((lost?.abs().amax().item() ?? 1) / (expected?.abs().amax().item() ?? 0)).toBeLessThan(4e-3);
    });
  });

  it("adds the divergence of the softmaxes over the hidden dimension, mean over tokens", () => {
    const kl = (y: number[], x: number[]): number => {
      const softmax = (v: number[]): number[] => {
        const e = v.map(Math.exp);
        const sum = e.reduce((a, b) => a + b);
        return e.map((value) => value / sum);
      };
      const [p, q] = [softmax(y), softmax(x)];
      return p.reduce((sum, value, i) => sum + value * Math.log(value / (q[i] as number)), 0);
    };
    const expected = (kl([1, 1], [2, 1]) + kl([2, -2], [2, 0])) / 2;
    expect(error("plain", 3) - error("plain")).toBeCloseTo(3 * expected, 5);
  });
});
