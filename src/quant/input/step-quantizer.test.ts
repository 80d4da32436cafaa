import { describe, expect, it } from "vitest";
import { backward, liveHandles, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { StoredTensorQuantizer } from "./asymmetric-tensor.js";
import { StepTensorQuantizer, sharedQuantizer } from "./step-quantizer.js";

const grid = { scale: 0.5, zeroPoint: 2 };

/** Output, and gradients in the input and the step, of `sum(x^)`. */
function response(value: number): readonly number[] {
  return scope(() => {
    const quantizer = new StepTensorQuantizer(3, grid, on.device, { relative: false });
    const x = Tensor.full([1, 1], value, on).requiresGrad_();
    const output = quantizer.apply(x);
    backward(output.sum());
    const found = [output.item(), x.grad?.item(), quantizer.parameters[0]?.tensor.grad?.item()];
    quantizer.dispose();
    return found as number[];
  });
}

describe("an input quantized with a learnt step and a fixed zero point", () => {
  // Codes 0 to 7 with zero at 2: from -1 to 2.5.
  it.each<readonly [number, readonly number[]]>([
    [0.62, [0.5, 1, 1 - 1.24]],
    [-0.4, [-0.5, 1, -1 + 0.8]],
    [9, [2.5, 0, 5]],
    [-9, [-1, 0, -2]],
    // It rounds to the last level, and is not cut off.
    [2.6, [2.5, 1, 5 - 5.2]],
  ])("makes of %d what LSQ says, with its gradients", (value, expected) => {
    response(value).forEach((number, i) => {
      expect(number).toBeCloseTo(expected[i] as number, 5);
    });
  });

  it("computes what is stored, and as often as others share it", () => {
    const live = liveHandles();
    scope(() => {
      const learnt = new StepTensorQuantizer(4, { scale: 0.11, zeroPoint: 3 }, on.device, { relative: true });
      const shared = sharedQuantizer(learnt);
      const stored = new StoredTensorQuantizer(
        4,
        { scale: shared.value(), zeroPoint: shared.zeroPoint?.() ?? -1 },
        on.device,
      );
      const x = Tensor.randn([50, 8], on);
      const [a, b, c] = [learnt.apply(x), shared.apply(x), stored.apply(x)];
      expect(a.sub(b).abs().amax().item()).toBe(0);
      expect(a.sub(c).abs().amax().item()).toBeLessThan(1e-6);
      expect([shared.parameters.length, learnt.parameters[0]?.unit]).toEqual([0, 0.11]);
      shared.dispose();
      learnt.dispose();
      stored.dispose();
    });
    expect(liveHandles()).toBe(live);
  });
});
