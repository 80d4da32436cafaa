import { describe, expect, it } from "vitest";
import { Adam, backward, keep, liveHandles, manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { testDevice } from "../../tensor/testing/test-device.js";
import { dequantize, type Grid, roundToNearest } from "../grid/grid.js";
import { searchRange } from "../grid/range.js";
import { type Parameter, parameterGroups } from "../parameter.js";
import { parseScheme } from "../scheme.js";
import { toQuantizedWeight } from "../to-quantized-weight.js";
import { coveringGrid, type LowRankOptions, LowRankWeight } from "./low-rank.js";
import { QUANTIZED_AT_ONCE } from "./low-rank-product.js";

const on = { device: testDevice };
const usual = { rank: 2, alpha: 3, offset: "none", unit: "absolute" } as const;

/** Moves everything that is learnt away from where it began, so that every gradient has something to say. */
function disturb({ parameters }: LowRankWeight, size: number): void {
  noGrad(() =>
    scope(() => {
      for (const { role, tensor } of parameters) {
        const noise = Tensor.randn(tensor.shape).to(testDevice);
        if (role === "scale") tensor.mul_(noise.mul(0.1).add(0.8));
        else tensor.add_(noise, role === "lowRank" ? size : size / 4);
      }
    }),
  );
}

function gradientsOf(parameters: readonly Parameter[]): Map<string, Float32Array> {
  return new Map(
    parameters.map(({ name, tensor }) => {
      const values = scope(() => (tensor.grad as Tensor).toFloat32Array().slice());
      tensor.clearGrad();
      return [name, values];
    }),
  );
}

function farthest(a: Float32Array, b: Float32Array): number {
  const size = Math.max(...b.map(Math.abs), 1e-9);
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number)))) / size;
}

describe("a range that covers both ends", () => {
  it("has the scale of the end that needs the larger one, and clips nothing", () => {
    scope(() => {
      const weight = Tensor.from(Float32Array.of(-1, 0.5, 0.9), [1, 3], on);
      const { scale, zeroPoint } = coveringGrid(weight, parseScheme("W4A16"), "w");
      // 0.9 / 7 = 0.128571, the next larger number of fp16; 1 / 8 would cut 0.9 at 7.2.
      expect(scale.item()).toBeGreaterThanOrEqual(0.9 / 7);
      expect(scale.item()).toBeCloseTo(0.128571, 3);
      const codes = weight.div(scale.reshape([1, 1])).toFloat32Array();
      expect(codes[0]).toBeCloseTo(-7.78, 1);
      expect(codes[2]).toBeLessThanOrEqual(7);
      expect(codes[2]).toBeCloseTo(7, 2);
      expect(zeroPoint.item()).toBe(8);
    });
  });

  it("has one for every group, also where all of it has one sign", () => {
    scope(() => {
      const weight = Tensor.from(Float32Array.of(1, 2, 3, 1.5, -4, -1, -2, -0.5, 0, 0, 0, 0, 7, -8, 1, 0), [2, 8], on);
      const wide = weight.repeatInterleave(2, 1);
      const { scale } = coveringGrid(wide, parseScheme("W4A16g8"), "w");
      const expected = [3 / 7, 4 / 8, 1e-5, 1];
      [...scale.toFloat32Array()].forEach((value, i) => {
        expect(value / (expected[i] as number)).toBeCloseTo(1, 2);
      });
    });
  });
});

describe("a weight with a low-rank term that is quantized as it is trained", () => {
  it("begins as the weight rounded to nearest, and moves B before A", () => {
    const before = liveHandles();
    scope(() => {
      manualSeed(4);
      const weight = Tensor.randn([6, 16], on);
      const grid = searchRange(weight, parseScheme("W3A16g8"), "w");
      const path = new LowRankWeight(weight, grid, usual);
      const x = Tensor.randn([5, 16], on);
      const nearest = dequantize(roundToNearest(weight, grid));
      expect(path.product(x, null, "float32").sub(x.linear(nearest)).abs().amax().item()).toBeLessThan(1e-5);
      expect(path.harden().codes.sub(roundToNearest(weight, grid).codes).abs().amax().item()).toBe(0);
      backward(path.product(x, null, "float32").square().sum());
      const gradients = gradientsOf(path.parameters);
      expect(Math.max(...(gradients.get("A") as Float32Array).map(Math.abs))).toBe(0);
      expect(Math.max(...(gradients.get("B") as Float32Array).map(Math.abs))).toBeGreaterThan(0.1);
      path.dispose();
    });
    expect(liveHandles()).toBe(before);
  });

  it.each([
    ["none", 4, false],
    ["none", 2, true],
    ["integer", 3, false],
    ["integer", 2, true],
    ["real", 4, false],
    ["real", 3, true],
  ] as const)(
    "has the gradients of autograd through straight-through rounding: offset %s, %i bits, bias %s",
    (offset, bits, hasBias) => {
      scope(() => {
        manualSeed(bits);
        const weight = Tensor.randn([12, 32], on);
        const grid = searchRange(weight, parseScheme(`W${bits}A16g8`, { asym: offset !== "none" }), "w");
        const path = new LowRankWeight(weight, grid, { ...usual, offset });
        disturb(path, 0.3);
        const bias = hasBias ? Tensor.randn([12], on) : null;
        const values = Tensor.randn([3, 7, 32], on);
        const direction = Tensor.randn([3, 7, 12], on);
        const run = (multiply: (x: Tensor) => Tensor): readonly [Float32Array, Map<string, Float32Array>] => {
          const x = values.clone().requiresGrad_();
          const y = multiply(x);
          backward([y], [direction]);
          const gradients = gradientsOf(path.parameters);
          gradients.set("x", (x.grad as Tensor).toFloat32Array().slice());
          return [y.detach().toFloat32Array().slice(), gradients];
        };
        const [actual, gradients] = run((x) => path.product(x, bias, "float32"));
        const [expected, reference] = run((x) => x.linear(path.weight(), bias));
        expect(farthest(actual, expected)).toBeLessThan(1e-6);
        const names = ["A", "B", "scale", ...(offset === "none" ? [] : ["offset"]), "x"];
        expect([...gradients.keys()]).toEqual(names);
        for (const name of names) {
          expect([name, farthest(gradients.get(name) as Float32Array, reference.get(name) as Float32Array)]).toEqual([
            name,
            expect.toSatisfy((far: number) => far < 1e-5),
          ]);
        }
        path.dispose();
      });
    },
  );

  it("has the paper's gradients of scale and offset, w~ - w inside of the range and Qn or Qp outside", () => {
    scope(() => {
      // w = 1.24, 9, -9.5 with a scale of 0.5 and an offset of 0.25 at 4 bits: the first inside, the others clipped.
      const weight = Tensor.from(Float32Array.of(0.87, 4.75, -4.5), [1, 3], on);
      const one = (value: number): Tensor => Tensor.full([1, 1, 1], value, on);
      const grid: Grid = { bits: 4, symmetric: false, groupSize: 3, scale: one(0.5), zeroPoint: one(7.5) };
      const path = new LowRankWeight(weight, grid, { ...usual, offset: "real" });
      const expected = { scale: [1 - 1.24, 7, -8], offset: [0, 1, 1] };
      [0, 1, 2].forEach((i) => {
        const x = Tensor.from(
          Float32Array.from([0, 1, 2], (at) => (at === i ? 1 : 0)),
          [1, 3],
          on,
        );
        const y = path.product(x, null, "float32");
        expect(y.item()).toBeCloseTo([0.75, 3.75, -3.75][i] as number, 6);
        backward(y.sum());
        const gradients = gradientsOf(path.parameters);
        expect(gradients.get("scale")?.[0]).toBeCloseTo(expected.scale[i] as number, 5);
        expect(gradients.get("offset")?.[0]).toBeCloseTo(expected.offset[i] as number, 6);
      });
      path.dispose();
    });
  });

  it("is the same where it is made in several pieces of rows", () => {
    scope(() => {
      manualSeed(8);
      const columns = 1024;
      const rows = QUANTIZED_AT_ONCE / columns + 24;
      const weight = Tensor.randn([rows, columns], on);
      const path = new LowRankWeight(weight, coveringGrid(weight, parseScheme("W4A16"), "w"), usual);
      disturb(path, 0.1);
      const [x, direction] = [Tensor.randn([2, columns], on), Tensor.randn([2, rows], on)];
      const run = (y: Tensor): Map<string, Float32Array> => {
        backward([y], [direction]);
        return gradientsOf(path.parameters);
      };
      const gradients = run(path.product(x, null, "float32"));
      const reference = run(x.linear(path.weight()));
      for (const [name, values] of gradients) {
        expect(farthest(values, reference.get(name) as Float32Array)).toBeLessThan(1e-4);
      }
      path.dispose();
    });
  });

  it.each(["none", "integer", "real"] as const)("hardens to the codes that it computes with: offset %s", (offset) => {
    scope(() => {
      manualSeed(6);
      const weight = Tensor.randn([8, 32], on);
      for (const bits of [2, 3, 4]) {
        const scheme = parseScheme(`W${bits}A16g8`, { asym: offset !== "none" });
        const path = new LowRankWeight(weight, searchRange(weight, scheme, "w"), { ...usual, offset });
        disturb(path, 0.3);
        const codes = path.harden();
        expect(codes.symmetric).toBe(offset === "none");
        expect(dequantize(codes).sub(path.weight()).abs().amax().item()).toBeLessThan(1e-5);
        expect(codes.codes.amin().item()).toBeGreaterThanOrEqual(0);
        expect(codes.codes.amax().item()).toBeLessThanOrEqual(2 ** bits - 1);
        const fraction = codes.zeroPoint.sub(codes.zeroPoint.round()).abs().amax().item();
        if (offset === "real") {
          expect(fraction).toBeGreaterThan(0.01);
          expect(() => toQuantizedWeight(codes, false)).toThrow(/whole steps.*can't be stored.*offset: integer/);
        } else {
          expect(fraction).toBe(0);
          expect(toQuantizedWeight(codes, false).bits).toBe(bits);
        }
        path.dispose();
      }
    });
  });

  it("keeps zero points where codes can hold them, however far training drives offsets", () => {
    scope(() => {
      const weight = Tensor.randn([2, 16], on);
      for (const direction of [1, -1]) {
        const grid = searchRange(weight, parseScheme("W2A16g8", { asym: true }), "w");
        const path = new LowRankWeight(weight, grid, { ...usual, offset: "integer" });
        using adam = new Adam(parameterGroups(path.parameters, { zeroPoint: 3 }));
        const offset = path.parameters.find(({ role }) => role === "zeroPoint")?.tensor as Tensor;
        for (let step = 0; step < 4; step++) {
          backward(offset.mul(direction).sum());
          adam.step();
        }
        const { zeroPoint } = path.harden();
        const end = direction > 0 ? 3 : 0;
        expect([zeroPoint.amin().item(), zeroPoint.amax().item()]).toEqual([end, end]);
        path.dispose();
      }
    });
  });

  it("learns another weight near the one that it began with, and leaves that alone", () => {
    scope(() => {
      manualSeed(9);
      const weight = Tensor.randn([16, 32], on);
      const kept = weight.clone();
      const x = keep(Tensor.randn([64, 32], on));
      const wanted = weight.add(
        Tensor.randn([16, 1], on)
          .matmul(Tensor.randn([1, 32], on))
          .mul(0.3),
      );
      const target = keep(x.linear(wanted));
      const grid = searchRange(weight, parseScheme("W4A16g8", { asym: true }), "w");
      const options: LowRankOptions = { ...usual, offset: "integer", unit: "scale" };
      const path = new LowRankWeight(weight, grid, options);
      using adam = new Adam(parameterGroups(path.parameters, { lowRank: 3e-3, scale: 1e-3, zeroPoint: 1e-3 }));
      const error = (): Tensor => path.product(x, null, "float32").sub(target).square().mean();
      const before = scope(() => noGrad(error).item());
      for (let step = 0; step < 300; step++) {
        scope(() => backward(error()));
        adam.step();
      }
      expect(scope(() => noGrad(error).item())).toBeLessThan(0.25 * before);
      // The codes alone have learnt it: nothing is left beside them.
      const merged = scope(() => x.linear(dequantize(path.harden())).sub(target).square().mean().item());
      expect(merged).toBeLessThan(0.25 * before);
      expect(weight.sub(kept).abs().amax().item()).toBe(0);
      for (const owned of [x, target, path]) owned.dispose();
    });
  });
});
