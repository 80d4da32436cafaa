import { describe, expect, it } from "vitest";
import { backward, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { parseScheme } from "../scheme.js";
import { toQuantizedWeight } from "../to-quantized-weight.js";
import { dequantize, roundThrough, roundToNearest, storableScale } from "./grid.js";
import { searchRange } from "./range.js";

const relativeError = (w: Tensor, q: Tensor): number => w.sub(q).square().sum().div(w.square().sum()).item();

describe("grids", () => {
  it("codes and values agree by hand", () => {
    scope(() => {
      const weight = Tensor.from(Float32Array.of(0.62, 1.4, -0.9, 0), [1, 4], on);
      const grid = {
        bits: 2,
        symmetric: false,
        groupSize: 4,
        scale: Tensor.full([1, 1, 1], 0.5, on),
        zeroPoint: Tensor.full([1, 1, 1], 1, on),
      };
      const codes = roundToNearest(weight, grid);
      expect(codes.codes.toArray()).toEqual(Float32Array.of(2, 3, 0, 1));
      expect(dequantize(codes).toArray()).toEqual(Float32Array.of(0.5, 1, -0.5, 0));
    });
  });

  it("keeps scales storable: exact in fp16, never below 1e-5, sign kept", () => {
    scope(() => {
      const scales = storableScale(Tensor.from(Float32Array.of(0.1, -0.1, 0, -1e-9, 3e5), undefined, on));
      const array = scales.toFloat32Array();
      expect(scales.to("float16").toFloat32Array()).toEqual(array);
      expect(array[0]).toBeCloseTo(0.1, 4);
      expect(array[1]).toBe(-(array[0] as number));
      expect(Math.min(...array.map(Math.abs))).toBeGreaterThan(0.99e-5);
      expect(array[3]).toBeLessThan(0);
      expect(array[4]).toBe(65504);
    });
  });

  it("passes gradients straight through the round", () => {
    scope(() => {
      const x = Tensor.from(Float32Array.of(0.3, 1.7), undefined, on).requiresGrad_();
      const y = roundThrough(x);
      expect(y.toArray()).toEqual(Float32Array.of(0, 2));
      backward(y.mul(3).sum());
      expect(x.grad?.toArray()).toEqual(Float32Array.of(3, 3));
    });
  });

  it.each([
    ["W2A16g64", false, 0.13],
    ["W2A16g64", true, 0.13],
    ["W3A16g64", true, 0.035],
    ["W4A16g64", true, 0.009],
    ["W8A16", true, 6e-5],
  ])("clip search at %s asym=%s loses no more than known for Gaussian weights", (name, asym, bound) => {
    scope(() => {
      manualSeed(0);
      const weight = Tensor.randn([32, 256], on);
      const grid = searchRange(weight, parseScheme(name, { asym }), "w");
      const codes = roundToNearest(weight, grid);
      expect(relativeError(weight, dequantize(codes))).toBeLessThan(bound);
      const whole = searchRange(weight, parseScheme(name, { asym }), "w", { candidates: 1 });
      expect(relativeError(weight, dequantize(codes))).toBeLessThan(
        relativeError(weight, dequantize(roundToNearest(weight, whole))) + 1e-9,
      );
      const stored = toQuantizedWeight(codes, false);
      expect(Math.max(...stored.codes)).toBeLessThan(2 ** stored.bits);
      if (!asym) expect(new Set(stored.zeroPoints)).toEqual(new Set([2 ** (stored.bits - 1)]));
    });
  });

  it("gives the longer tail the extra level through the sign of the scale", () => {
    scope(() => {
      const weight = Tensor.from(Float32Array.of(2, 1, 0, -1, -2, -1, 0, 1), [2, 4], on);
      const grid = searchRange(weight, parseScheme("W2A16"), "w");
      const [positive, negative] = grid.scale.toFloat32Array();
      expect(positive).toBeLessThan(0);
      expect(negative).toBeGreaterThan(0);
      expect(dequantize(roundToNearest(weight, grid)).sub(weight).abs().sum().item()).toBe(0);
    });
  });
});
