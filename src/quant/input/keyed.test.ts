import { describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import { backward, liveHandles, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { StoredTensorQuantizer } from "./asymmetric-tensor.js";
import { KeyedQuantizer } from "./keyed.js";
import { gridAt, type KeyedGrid } from "./keyed-grid.js";

const grid: KeyedGrid = {
  bits: 8,
  input: "t",
  keys: [10, 500, 999],
  scales: [1 / 255, 10 / 255, 0.03].map(Math.fround),
  zeroPoints: [0, 0, 128],
  unknown: "error",
};

function applied(values: Tensor, times: readonly number[], of: KeyedGrid = grid): Tensor {
  const quantizer = new KeyedQuantizer(of, on.device);
  try {
    return quantizer.apply(values, { t: Tensor.from(Float32Array.from(times)).to(on.device) });
  } finally {
    quantizer.dispose();
  }
}

function meanSquare(a: Tensor, b: Tensor): number {
  return a.sub(b).square().mean().item();
}

describe("inputs quantized with a range for each step", () => {
  it("lose a hundredth where one step spans a tenth of another", () => {
    scope(() => {
      const even = Float32Array.from({ length: 40_000 }, (_, i) => (i + 0.5) / 40_000);
      const x = Tensor.from(even, [1, 40_000]).to(on.device);
      const narrow = meanSquare(applied(x, [10]), x);
      const wide = meanSquare(applied(x, [500]), x);
      expect(wide).toBeCloseTo((10 / 255) ** 2 / 12, 6);
      expect(narrow / 1.28e-6).toBeCloseTo(1, 1);
      expect(wide / 1.28e-4).toBeCloseTo(1, 1);
    });
  });

  it("round every example on its own grid, rows of an example side by side included", () => {
    const live = liveHandles();
    scope(() => {
      manualSeed(2);
      const x = Tensor.randn([4, 3, 5], on);
      const times = [999, 10, 500, 999];
      const rows = times.map((time, i) => {
        const own = new StoredTensorQuantizer(8, gridAt(grid, time), on.device);
        const row = own.apply(x.narrow(0, i, 1));
        own.dispose();
        return row.toFloat32Array();
      });
      const expected = Float32Array.from(rows.flatMap((row) => [...row]));
      expect(applied(x, times).toFloat32Array()).toEqual(expected);
      expect(applied(x.reshape([12, 5]), times).toFloat32Array()).toEqual(expected);
    });
    expect(liveHandles()).toBe(live);
  });

  it("round before the zero point is added, as ONNX does", () => {
    scope(() => {
      const x = Tensor.from(Float32Array.from([-0.5, 0.5, 1.5, 2.5]), [1, 4]).to(on.device);
      const of: KeyedGrid = { ...grid, keys: [1, 2], scales: [1, 1], zeroPoints: [3, 4] };
      for (const time of of.keys) expect([...applied(x, [time], of).toFloat32Array()]).toEqual([0, 0, 2, 2]);
    });
  });

  it("pass gradients where nothing is cut off", () => {
    scope(() => {
      const x = Tensor.from(Float32Array.from([0.5, 2, -1, 0.5, 2, 20]))
        .to(on.device)
        .reshape([2, 3])
        .detach()
        .requiresGrad_();
      backward(applied(x, [10, 500]).sum());
      expect([...(x.grad?.toFloat32Array() ?? [])]).toEqual([1, 0, 0, 1, 1, 0]);
    });
  });

  it("refuse a step that they do not know, or take the nearest one's", () => {
    scope(() => {
      const x = Tensor.ones([1, 2], on).mul(0.7);
      const unknown = (): unknown => applied(x, [501]);
      if (on.device === "cpu") {
        expect(unknown).toThrow(CalibrationError);
        expect(unknown).toThrow(/501 is no step that ranges were found for: 10, 500, 999.*tfmq\.unknownStep=nearest/);
      } else expect(applied(x, [501]).toFloat32Array().every(Number.isNaN)).toBe(true);
      const nearest = { ...grid, unknown: "nearest" } as const;
      expect(applied(x, [501], nearest).toFloat32Array()).toEqual(applied(x, [500]).toFloat32Array());
      expect(applied(x, [0], nearest).toFloat32Array()).toEqual(applied(x, [10]).toFloat32Array());
    });
    expect(() => gridAt(grid, 501)).toThrow(CalibrationError);
    expect(gridAt({ ...grid, unknown: "nearest" }, 900)).toEqual({ scale: Math.fround(0.03), zeroPoint: 128 });
    expect(gridAt({ ...grid, unknown: "nearest" }, 255)).toEqual(gridAt(grid, 10));
  });
});
