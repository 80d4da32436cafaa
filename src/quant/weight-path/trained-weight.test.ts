import { describe, expect, it } from "vitest";
import { Adam, backward, liveHandles, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { testDevice } from "../../tensor/testing/test-device.js";
import { dequantize, type Grid, roundToNearest } from "../grid/grid.js";
import { searchRange } from "../grid/range.js";
import { parameterGroups, tensorsOf } from "../parameter.js";
import { parseScheme } from "../scheme.js";
import { TrainedWeight } from "./trained-weight.js";

const on = { device: testDevice };

function gradientOf(path: TrainedWeight, role: "weight" | "scale" | "zeroPoint"): number[] {
  return [...(tensorsOf(path.parameters, role)[0]?.grad?.reshape([-1]).toFloat32Array() ?? [])];
}

describe("a weight that is trained through its quantization", () => {
  it("has the values and gradients of the definition", () => {
    const before = liveHandles();
    scope(() => {
      const weight = Tensor.from(Float32Array.of(0.62, 1.4, -0.9), [1, 3], on);
      const one = (value: number): Tensor => Tensor.full([1, 1, 1], value, on);
      const grid: Grid = { bits: 2, symmetric: false, groupSize: 3, scale: one(0.5), zeroPoint: one(1) };
      const expected = { scale: [-0.24, 2, -1], zeroPoint: [0, -0.5, -0.5], weight: [1, 0, 0] };
      [0, 1, 2].forEach((i) => {
        const path = new TrainedWeight(weight, grid, "absolute");
        const value = path.weight();
        [0.5, 1, -0.5].forEach((w, at) => {
          expect(value.toFloat32Array()[at]).toBeCloseTo(w, 6);
        });
        backward(value.select(1, i).sum());
        expect(gradientOf(path, "scale")[0]).toBeCloseTo(expected.scale[i] as number, 5);
        expect(gradientOf(path, "zeroPoint")[0]).toBeCloseTo(expected.zeroPoint[i] as number, 5);
        expect(gradientOf(path, "weight")[i]).toBeCloseTo(expected.weight[i] as number, 5);
        path.dispose();
      });
    });
    expect(liveHandles()).toBe(before);
  });

  it.each(["W2A16g8", "W3A16", "W4A16g8"])("hardens to the codes that it computes with: %s", (scheme) => {
    scope(() => {
      manualSeed(3);
      const weight = Tensor.randn([6, 32]).to(testDevice);
      for (const asym of [true, false]) {
        const grid = searchRange(weight, parseScheme(scheme, { asym }), "w");
        const path = new TrainedWeight(weight, grid, "scale");
        const codes = path.harden();
        expect(dequantize(codes).sub(path.weight()).abs().amax().item()).toBeLessThan(1e-6);
        // What is on the grid already stays there: codes can be packed twice.
        const again = roundToNearest(dequantize(codes), codes);
        expect(again.codes.sub(codes.codes).abs().amax().item()).toBe(0);
        path.dispose();
      }
    });
  });

  it("packs no zero point that its codes can't hold, however far training drove it", () => {
    scope(() => {
      const weight = Tensor.from(Float32Array.of(0.62, 1.4, -0.9), [1, 3], on);
      const one = (value: number): Tensor => Tensor.full([1, 1, 1], value, on);
      const grid: Grid = { bits: 2, symmetric: false, groupSize: 3, scale: one(0.5), zeroPoint: one(1) };
      for (const [direction, end] of [
        [1, 0],
        [-1, 3],
      ] as const) {
        const path = new TrainedWeight(weight, grid, "absolute");
        using adam = new Adam(parameterGroups(path.parameters, { zeroPoint: 2 }));
        const [zeroPoint] = tensorsOf(path.parameters, "zeroPoint") as [Tensor];
        for (let step = 0; step < 5; step++) {
          backward(zeroPoint.mul(direction).sum());
          adam.step();
        }
        const codes = path.harden();
        expect(codes.zeroPoint.item()).toBe(end);
        expect(codes.codes.amin().item()).toBeGreaterThanOrEqual(0);
        expect(codes.codes.amax().item()).toBeLessThanOrEqual(3);
        path.dispose();
      }
    });
  });

  it("gives rates in units of the mean scale, or in absolute numbers", () => {
    scope(() => {
      const weight = Tensor.randn([4, 16]).to(testDevice);
      const grid = searchRange(weight, parseScheme("W4A16g8"), "w");
      const scale = grid.scale.abs().mean().item();
      for (const [unit, expected] of [
        ["absolute", 1],
        ["scale", scale],
      ] as const) {
        const path = new TrainedWeight(weight, grid, unit);
        expect(path.parameters.map(({ role, unit = 1 }) => [role, unit])).toEqual([
          ["weight", expected],
          ["scale", expected],
        ]);
        path.dispose();
      }
    });
  });
});
