import { describe, expect, it } from "vitest";
import { liveHandles, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { dequantize, roundToNearest } from "../grid/grid.js";
import { searchRange } from "../grid/range.js";
import { parseScheme } from "../scheme.js";
import { SecondMoments } from "../second-moments.js";
import { gptq } from "./gptq.js";

function correlatedInputs(tokens: number, width: number): Tensor {
  const mix = Tensor.randn([width, width], on)
    .mul(0.3)
    .add(Tensor.randn([width, 1], on));
  return Tensor.randn([tokens, width], on).matmul(mix);
}

describe("GPTQ", () => {
  it.each(["W2A16g32", "W3A16", "W4A16g64"])("loses less of the output than round to nearest at %s", (name) => {
    const before = liveHandles();
    scope(() => {
      manualSeed(3);
      const x = correlatedInputs(2000, 192);
      const weight = Tensor.randn([48, 192], on);
      using moments = new SecondMoments(192, on.device);
      moments.add(x.narrow(0, 0, 1000));
      moments.add(x.narrow(0, 1000, 1000));
      expect(moments.tokens).toBe(2000);
      const scheme = parseScheme(name);
      const nearest = dequantize(roundToNearest(weight, searchRange(weight, scheme, "w")));
      const { codes } = gptq(weight, moments, scheme, "w", { blockSize: 80 });
      const loss = (q: Tensor): number => x.linear(weight.sub(q)).square().mean().item();
      expect(loss(dequantize(codes))).toBeLessThan(0.6 * loss(nearest));
      // The cut into blocks is arithmetic, not algorithm.
      const other = gptq(weight, moments, scheme, "w", { blockSize: 192 }).codes;
      expect(codes.codes.eq(other.codes).to("float32").mean().item()).toBeGreaterThan(0.98);
    });
    expect(liveHandles()).toBe(before);
  });

  it("equals round to nearest when the inputs are uncorrelated", () => {
    scope(() => {
      manualSeed(4);
      using moments = new SecondMoments(64, on.device);
      moments.add(
        Tensor.from(
          Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 65 === 0 ? 1 : 0)),
          [64, 64],
          on,
        ),
      );
      const weight = Tensor.randn([8, 64], on);
      const scheme = parseScheme("W3A16g16");
      const nearest = roundToNearest(weight, searchRange(weight, scheme, "w"));
      expect(gptq(weight, moments, scheme, "w").codes.codes.toArray()).toEqual(nearest.codes.toArray());
    });
  });

  it("fits its ranges to the columns that carry the output, at any magnitude of the inputs", () => {
    scope(() => {
      manualSeed(6);
      const loud = Tensor.from(
        Float32Array.from({ length: 64 }, (_, i) => (i % 16 === 5 ? 30 : 1)),
        [64],
        on,
      );
      const x = Tensor.randn([500, 64], on).mul(loud);
      const weight = Tensor.randn([32, 64], on);
      const scheme = parseScheme("W2A16g16");
      const codesAt = (magnitude: number, weightedRange: boolean): Tensor => {
        using moments = new SecondMoments(64, on.device);
        moments.add(x.mul(magnitude));
        return dequantize(gptq(weight, moments, scheme, "w", { weightedRange }).codes);
      };
      const loss = (q: Tensor): number => x.linear(weight.sub(q)).square().mean().item();
      const weighted = codesAt(1, true);
      expect(loss(weighted)).toBeLessThan(0.5 * loss(codesAt(1, false)));
      expect(codesAt(1e-9, true).toArray()).toEqual(weighted.toArray());
    });
  });

  it("survives inputs that are always zero and second moments of low rank", () => {
    scope(() => {
      manualSeed(5);
      using moments = new SecondMoments(64, on.device);
      const x = Tensor.randn([3, 64], on).mul(100);
      x.narrow(1, 0, 4).zero_();
      moments.add(x);
      const weight = Tensor.randn([8, 64], on);
      const { codes, damping } = gptq(weight, moments, parseScheme("W4A16g16"), "w", { damping: 1e-12 });
      expect(damping).toBeGreaterThanOrEqual(1e-12);
      expect(dequantize(codes).isfinite().all().item()).toBe(1);
    });
  });

  it("rounds to nearest what reads inputs that were always zero: other inputs may reach them", () => {
    scope(() => {
      manualSeed(6);
      using moments = new SecondMoments(64, on.device);
      const x = correlatedInputs(256, 64);
      x.narrow(1, 8, 3).zero_();
      moments.add(x);
      const weight = Tensor.randn([8, 64], on);
      const { codes } = gptq(weight, moments, parseScheme("W8A16"), "w", { candidates: 1 });
      const far = dequantize(codes)
        .sub(weight)
        .abs()
        .div(codes.scale.reshape([8, 1]))
        .narrow(1, 8, 3)
        .amax()
        .item();
      expect(far).toBeLessThan(0.51);
    });
  });
});
