import { describe, expect, it } from "vitest";
import { backward, liveHandles, manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { dequantize, roundToNearest } from "../grid/grid.js";
import { searchRange } from "../grid/range.js";
import { tensorsOf } from "../parameter.js";
import { parseScheme } from "../scheme.js";
import { FixedCodes } from "./fixed-codes.js";

const distance = (a: Tensor, b: Tensor): number => a.sub(b).abs().amax().item();

describe.each(["W2A16g16", "W4A16"])("fixed codes at %s", (scheme) => {
  it("begin at the codes' weight, pass s (q - z) of every group on to its scale's logarithm, and keep the codes", () => {
    const before = liveHandles();
    scope(() => {
      manualSeed(1);
      const weight = Tensor.randn([6, 32]).to(on.device);
      const codes = roundToNearest(weight, searchRange(weight, parseScheme(scheme, { asym: true }), "w"));
      const rounding = new FixedCodes(codes);
      const soft = rounding.weight();
      expect(distance(soft.detach(), dequantize(codes))).toBe(0);
      const gradient = Tensor.randn([6, 32]).to(on.device);
      backward([soft], [gradient]);
      const [logScale] = tensorsOf(rounding.parameters, "scale") as [Tensor];
      const expected = gradient
        .mul(dequantize(codes))
        .reshape([6, -1, codes.groupSize])
        .sum(-1)
        .reshape(logScale.shape);
      expect(distance(logScale.grad as Tensor, expected)).toBeLessThan(1e-5);
      noGrad(() => logScale.add_(Tensor.full(logScale.shape, 0.1, on)));
      const hard = rounding.harden();
      expect(distance(hard.codes, codes.codes)).toBe(0);
      // Scales are fp16 numbers: 11 bits.
      expect(distance(hard.scale.div(codes.scale), Tensor.full(hard.scale.shape, Math.exp(0.1), on))).toBeLessThan(
        1e-3,
      );
      expect(distance(dequantize(hard), rounding.weight().detach())).toBe(0);
      rounding.dispose();
    });
    expect(liveHandles()).toBe(before);
  });
});
