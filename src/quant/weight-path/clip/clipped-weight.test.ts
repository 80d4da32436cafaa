import { describe, expect, it } from "vitest";
import { backward, liveHandles, manualSeed, scope, Tensor } from "../../../tensor/index.js";
import { on } from "../../../tensor/testing/test-device.js";
import { dequantize } from "../../grid/grid.js";
import { searchRange } from "../../grid/range.js";
import { tensorsOf } from "../../parameter.js";
import { parseScheme } from "../../scheme.js";
import { ClippedWeight, clipAt, clipOf } from "./clipped-weight.js";

const row = (...values: number[]): Tensor => Tensor.from(Float32Array.from(values), [1, values.length], on);

function pathOf(weight: Tensor, share: number, symmetric = false, bits = 2): ClippedWeight {
  const grid = { bits, symmetric, groupSize: weight.size(1) };
  return new ClippedWeight(() => weight, grid, clipAt(share, { scale: Tensor.ones([weight.size(0), 1, 1], on) }));
}

describe("learnable weight clipping", () => {
  it("has the range that its shares of the extremes span", () => {
    const before = liveHandles();
    scope(() => {
      // Half of -1 to 2: a step of (1 + 0.5) / 3, 0 at code 1.
      const path = pathOf(row(-1, 2, 0.3, 0.8), 0.5);
      const codes = path.harden();
      expect(codes.scale.item()).toBeCloseTo(0.5, 3);
      expect(codes.zeroPoint.item()).toBe(1);
      expect([...codes.codes.toFloat32Array()]).toEqual([0, 3, 2, 3]);
      path.dispose();
    });
    expect(liveHandles()).toBe(before);
  });

  it("gives the longer side of a symmetric range the code that has no counterpart", () => {
    scope(() => {
      const longPositive = pathOf(row(-1, 4, 0.4, 1), 0.5, true).harden();
      expect(longPositive.scale.item()).toBeCloseTo(-1, 3);
      [-1, 2, 0, 1].forEach((value, i) => {
        expect(dequantize(longPositive).toFloat32Array()[i]).toBeCloseTo(value, 2);
      });
      expect(
        pathOf(row(-4, 1, 0.4, 1), 0.5, true)
          .harden()
          .scale.item(),
      ).toBeCloseTo(1, 3);
    });
  });

  it("moves a bound by what is clipped at it, and by nothing that is clipped at the other", () => {
    scope(() => {
      const path = pathOf(row(-1, 2, 0.1, 0.1), 0.5);
      const [top, bottom] = tensorsOf(path.parameters, "clip") as [Tensor, Tensor];
      // sigmoid' = 1/4 at a share of one half: d h / d gamma = 2 / 4, d l / d beta = -1 / 4.
      backward(path.weight().select(1, 1).sum());
      expect(top.grad?.item()).toBeCloseTo(0.5, 3);
      expect(bottom.grad?.item()).toBeCloseTo(0, 4);
      top.clearGrad();
      bottom.clearGrad();
      backward(path.weight().select(1, 0).sum());
      expect(bottom.grad?.item()).toBeCloseTo(-0.25, 3);
      expect(top.grad?.item()).toBeCloseTo(0, 4);
      path.dispose();
    });
  });

  it("has two values with one bit, each moved by the weights that take it", () => {
    scope(() => {
      // Half of -1 and of 2: -0.5 and 1, in the middle 0.25.
      const path = pathOf(row(-1, 2, 0.3, 0.2), 0.5, false, 1);
      const values = path.weight().toFloat32Array();
      for (const [i, value] of [-0.5, 1, 1, -0.5].entries()) expect(values[i]).toBeCloseTo(value, 2);
      const codes = path.harden();
      expect([...codes.codes.to("uint8").to("float32").toFloat32Array()]).toEqual([0, 1, 1, 0]);
      expect(codes.zeroPoint.item() * 254).toBeCloseTo(Math.round((0.5 / 1.5) * 254), 3);
      expect(dequantize(codes).sub(path.weight()).abs().amax().item()).toBeLessThan(1e-6);
      const [top, bottom] = tensorsOf(path.parameters, "clip") as [Tensor, Tensor];
      backward(path.weight().sum());
      // Two weights each, sigmoid' = 1/4: 2 * 2 / 4 and 2 * -1 / 4.
      expect(top.grad?.item()).toBeCloseTo(1, 2);
      expect(bottom.grad?.item()).toBeCloseTo(-0.5, 2);
      path.dispose();
    });
  });

  it("passes gradients on to what its weight is made of", () => {
    scope(() => {
      const own = row(-1, 2, 0.3, 0.1);
      const factor = row(1, 1, 1, 1).requiresGrad_();
      const start = clipAt(0.9, { scale: Tensor.ones([1, 1, 1], on) });
      const path = new ClippedWeight(() => own.mul(factor), { bits: 4, symmetric: false, groupSize: 4 }, start);
      backward(path.weight().select(1, 2).sum());
      const gradient = [...(factor.grad?.toFloat32Array() ?? [])];
      expect(gradient[2]).toBeCloseTo(0.3, 3);
      expect(gradient[3]).toBe(0);
      path.dispose();
    });
  });

  it.each(["W2A16g8", "W3A16", "W4A16"])("hardens to what it computes with: %s", (name) => {
    scope(() => {
      manualSeed(51);
      const weight = Tensor.randn([6, 32], on);
      for (const asym of [true, false]) {
        const scheme = parseScheme(name, { asym });
        const grid = searchRange(weight, scheme, "w", { candidates: 20 });
        const path = new ClippedWeight(() => weight, grid, clipOf(weight, grid));
        expect(dequantize(path.harden()).sub(path.weight()).abs().amax().item()).toBeLessThan(1e-6);
        // Starting where a search ended loses what the search lost, but for zero points and shares that a sigmoid lacks.
        const lost = (quantized: Tensor): number => quantized.sub(weight).square().sum().item();
        const full = pathOf(weight, 0.9999, !asym, scheme.bits);
        if (scheme.groupSize === null) expect(lost(path.weight())).toBeLessThan(lost(full.weight()));
        path.dispose();
        full.dispose();
      }
    });
  });
});
