import { describe, expect, it } from "vitest";
import { backward, liveHandles, manualSeed, scope, Tensor } from "../../../tensor/index.js";
import { on } from "../../../tensor/testing/test-device.js";
import { dequantize, type Grid } from "../../grid/grid.js";
import { ClippedWeight, clipAt } from "./clipped-weight.js";
import { MixedWeight } from "./mixed-weight.js";

/** Groups of 8 columns with these bits, on ranges of all that they reach. */
function mixed(weight: Tensor, groupBits: readonly number[], share = 0.9): MixedWeight {
  const shape = [weight.size(0), groupBits.length, 1];
  const grid: Grid = {
    ...{ bits: Math.max(...groupBits), groupBits, groupSize: 8, symmetric: false },
    ...{ scale: Tensor.ones(shape, on), zeroPoint: Tensor.zeros(shape, on) },
  };
  return new MixedWeight(weight, grid, (own, range) => new ClippedWeight(() => own, range, clipAt(share, range)));
}

describe("a weight whose groups have bits of their own", () => {
  it("computes each group as a weight of that width alone does, in its place", () => {
    const before = liveHandles();
    scope(() => {
      manualSeed(3);
      const weight = Tensor.randn([5, 40], on);
      const bits = [3, 1, 2, 3, 1];
      const path = mixed(weight, bits);
      const whole = path.weight();
      bits.forEach((width, group) => {
        const own = weight.narrow(1, group * 8, 8);
        const range = { bits: width, symmetric: false, groupSize: 8 };
        const alone = new ClippedWeight(() => own, range, clipAt(0.9, { scale: Tensor.ones([5, 1, 1], on) }));
        expect(
          whole
            .narrow(1, group * 8, 8)
            .sub(alone.weight())
            .abs()
            .amax()
            .item(),
        ).toBe(0);
        alone.dispose();
      });
      const codes = path.harden();
      expect(codes.groupBits).toEqual(bits);
      expect(dequantize(codes).sub(whole).abs().amax().item()).toBeLessThan(1e-6);
      for (const [group, width] of bits.entries()) {
        const own = codes.codes.narrow(1, group * 8, 8);
        expect(own.amax().item()).toBeLessThan(2 ** width);
        expect(own.amin().item()).toBeGreaterThanOrEqual(0);
      }
      path.dispose();
    });
    expect(liveHandles()).toBe(before);
  });

  it("gives each group's clips the gradient of its own columns", () => {
    scope(() => {
      manualSeed(4);
      const path = mixed(Tensor.randn([3, 32], on), [2, 1, 2, 3], 0.5);
      // Of the last group alone.
      backward(path.weight().narrow(1, 24, 8).square().sum());
      const gradients = new Map(
        path.parameters.map(({ name, tensor }) => [name, tensor.grad?.abs().sum().item() ?? 0] as const),
      );
      expect([...gradients.keys()].sort()).toEqual([
        ...["bits1.clip.bottom", "bits1.clip.top", "bits2.clip.bottom"],
        ...["bits2.clip.top", "bits3.clip.bottom", "bits3.clip.top"],
      ]);
      for (const [name, size] of gradients) {
        if (name.startsWith("bits3")) expect(size).toBeGreaterThan(0);
        else expect(size).toBe(0);
      }
      path.dispose();
    });
  });
});
