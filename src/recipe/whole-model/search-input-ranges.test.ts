import { describe, expect, it } from "vitest";
import { clipsOf } from "../../quant/input/asymmetric-tensor.js";
import { liveHandles, scope, Tensor } from "../../tensor/index.js";
import { searchInputRanges } from "./search-input-ranges.js";

function rangeOf(values: readonly number[], aligned: boolean): ReturnType<typeof clipsOf> & { zeroPoint: number } {
  return scope(() => {
    const show = (see: (module: string, input: Tensor) => void): void => {
      see("a", Tensor.from(Float32Array.from(values), [1, values.length]));
      see("not wanted", Tensor.ones([1, 2]));
    };
    const grids = searchInputRanges(new Set(["a"]), 4, show, { aligned });
    expect([...grids.keys()]).toEqual(["a"]);
    const grid = grids.get("a") as { scale: number; zeroPoint: number };
    return { ...clipsOf(grid, 4), zeroPoint: grid.zeroPoint };
  });
}

describe("ranges of inputs that were measured", () => {
  it("reach over all that was seen where nothing stands out", () => {
    const { low, high } = rangeOf(
      Array.from({ length: 1000 }, (_, i) => i / 500 - 0.5),
      false,
    );
    expect(Math.abs(low + 0.5)).toBeLessThan(0.1);
    expect(Math.abs(high - 1.5)).toBeLessThan(0.15);
  });

  it("cut a number off that stands far out, and keep zero on the grid where it is aligned", () => {
    const live = liveHandles();
    const values = [...Array.from({ length: 4000 }, (_, i) => i / 2000 - 1), 6];
    const { low, high, zeroPoint } = rangeOf(values, true);
    expect(high).toBeLessThan(3);
    // The other end stays.
    expect(low).toBeLessThan(-0.8);
    expect(Number.isInteger(zeroPoint)).toBe(true);
    expect(liveHandles()).toBe(live);
  });

  it("begin at zero where no number lies below it", () => {
    expect(rangeOf([0.5, 1, 2], true).low).toBeCloseTo(0, 10);
    expect(rangeOf([0, 0, 0], true).high).toBeGreaterThan(0);
  });
});
