import { describe, expect, it } from "vitest";
import { backward, liveHandles, scope, Tensor } from "../../tensor/index.js";
import { testDevice } from "../../tensor/testing/test-device.js";
import { clipGradients } from "./clip-gradients.js";

/** Parameters of these shapes whose gradients are what is given. */
function withGradients(...gradients: readonly (readonly number[])[]): Tensor[] {
  return gradients.map((values) => {
    const gradient = Tensor.from(Float32Array.from(values), undefined, { device: testDevice });
    const parameter = Tensor.zeros([values.length], { device: testDevice }).requiresGrad_();
    backward(parameter.mul(gradient).sum());
    return parameter;
  });
}

function gradientsOf(parameters: readonly Tensor[]): number[][] {
  return parameters.map(({ grad }) => [...(grad?.toFloat32Array() ?? [])]);
}

describe("gradients that are clipped", () => {
  it("are as long as they may be, all of them together, and point where they did", () => {
    const live = liveHandles();
    scope(() => {
      const parameters = withGradients([3, 0], [0, 4, 12]);
      clipGradients(parameters, 0.3);
      const [first, second] = gradientsOf(parameters) as [number[], number[]];
      // 13 long before.
      [3, 0].forEach((value, i) => {
        expect(first[i]).toBeCloseTo((value * 0.3) / 13, 7);
      });
      [0, 4, 12].forEach((value, i) => {
        expect(second[i]).toBeCloseTo((value * 0.3) / 13, 7);
      });
      expect(Math.hypot(...first, ...second)).toBeCloseTo(0.3, 6);
    });
    expect(liveHandles()).toBe(live);
  });

  it("stay the same bits where they are shorter, or all 0", () => {
    scope(() => {
      const short = withGradients([0.1, -0.2], [0.07]);
      const before = gradientsOf(short);
      clipGradients(short, 0.3);
      expect(gradientsOf(short)).toEqual(before);
      const still = withGradients([0, 0]);
      clipGradients(still, 0.3);
      expect(gradientsOf(still)).toEqual([[0, 0]]);
    });
  });

  it("may be missing", () => {
    scope(() => {
      const [moved] = withGradients([30, 40]) as [Tensor];
      const still = Tensor.zeros([2], { device: testDevice }).requiresGrad_();
      clipGradients([still, moved], 5);
      expect(still.grad).toBe(null);
      expect(gradientsOf([moved])).toEqual([[expect.closeTo(3, 5), expect.closeTo(4, 5)]]);
      clipGradients([still], 5);
    });
  });
});
