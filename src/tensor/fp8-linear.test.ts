import { describe, expect, test } from "vitest";
import {
  backward,
  DeviceGraph,
  fitsFp8,
  hasFp8Products,
  linearWithFp8Gradients,
  magnitudeOf,
  manualSeed,
  noGrad,
  scope,
  Tensor,
  toFp8,
  useOwnStream,
} from "./index.js";
import { testDevice } from "./testing/test-device.js";

test("a CPU has no fp8 products, and says so of its weights", () => {
  expect(hasFp8Products("cpu")).toBe(false);
  expect(scope(() => fitsFp8(Tensor.zeros([32, 32], { dtype: "bfloat16" })))).toBe(false);
});

/** e4m3 out of its bits: a sign, four bits of exponent, three of mantissa. */
function e4m3(bits: number): number {
  const [sign, exponent, mantissa] = [bits & 0x80 ? -1 : 1, (bits >> 3) & 15, bits & 7];
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  return sign * (exponent === 0 ? mantissa / 8 / 64 : (1 + mantissa / 8) * 2 ** (exponent - 7));
}

/** The nearest e4m3 number, ties to even, cut to 448. */
function nearest(x: number): number {
  if (Number.isNaN(x)) return x;
  let best = 0;
  for (let bits = 0; bits < 0x7f; bits++) {
    const [distance, kept] = [Math.abs(Math.abs(x) - e4m3(bits)), Math.abs(Math.abs(x) - e4m3(best))];
    if (distance < kept || (distance === kept && bits % 2 === 0)) best = bits;
  }
  return Math.sign(x) * e4m3(best);
}

const random = (shape: readonly number[], factor: number): Tensor =>
  Tensor.randn(shape).mul(factor).to("bfloat16").to(testDevice);

const relative = (actual: Tensor, expected: Tensor): number => {
  const [a, b] = [actual.to("float32"), expected.to("float32")];
  return Math.sqrt(a.sub(b).square().sum().item() / b.square().sum().item());
};

describe.skipIf(!hasFp8Products(testDevice))("on a GPU with fp8 products", () => {
  test.each([
    [16, 16],
    [128, 64],
    [144, 208],
    [400, 48],
  ])("%i x %i numbers become the nearest ones of e4m3, by columns", (rows, columns) => {
    manualSeed(1);
    scope(() => {
      const x = random([rows, columns], 0.01);
      const { columns: bytes, inverse } = toFp8(x, magnitudeOf(x));
      const values = x.to("float32").to("cpu").toFloat32Array();
      const most = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      expect(inverse.item()).toBeCloseTo(most / 448, 10);
      const got = bytes.to("cpu").toArray() as Uint8Array;
      const scale = Math.fround(448 / most);
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) {
          const expected = nearest(Math.fround((values[r * columns + c] as number) * scale));
          expect(e4m3(got[c * rows + r] as number) + 0).toBe(expected + 0);
        }
      }
    });
  });

  test("beyond the magnitude numbers are cut to the largest, and NaN stays NaN", () => {
    scope(() => {
      const x = Tensor.from(Float32Array.from({ length: 256 }, (_, i) => (i === 0 ? Number.NaN : i))).reshape([16, 16]);
      const { columns } = toFp8(x.to("bfloat16").to(testDevice), Tensor.full([1], 8, { device: testDevice }));
      const got = columns.to("cpu").toArray() as Uint8Array;
      expect(e4m3(got[0] as number)).toBeNaN();
      expect(e4m3(got[1] as number)).toBe(448);
    });
  });

  const shapes = [
    { tokens: 64, out: 96, columns: 160, bias: false },
    { tokens: 256, out: 512, columns: 256, bias: true },
  ];
  test.each(shapes)("the output is that of bf16 to the bit, the gradients near its own: %o", (shape) => {
    manualSeed(2);
    scope(() => {
      const { tokens, out, columns } = shape;
      const data = random([2, tokens, columns], 1);
      const w = random([out, columns], 0.05);
      const bias = shape.bias ? random([out], 1) : null;
      const seed = random([2, tokens, out], 1e-6);
      const weightFp8 = toFp8(w, magnitudeOf(w));
      const run = (linear: (x: Tensor, weight: Tensor) => Tensor): Tensor[] => {
        const [x, weight] = [data.clone().requiresGrad_(), w.clone().requiresGrad_()];
        const y = linear(x, weight);
        backward([y], [seed]);
        return [y.detach(), x.grad as Tensor, weight.grad as Tensor];
      };
      const full = run((x, weight) => x.linear(weight, bias)) as [Tensor, Tensor, Tensor];
      const fp8 = run((x, weight) => linearWithFp8Gradients(x, weight, bias, weightFp8)) as [Tensor, Tensor, Tensor];
      expect(relative(fp8[0], full[0])).toBe(0);
      // Each factor is off by 2^-5 at most, evenly spread, and errors average over the sums: 0.037 in theory.
      for (const i of [1, 2] as const) {
        expect(relative(fp8[i], full[i])).toBeLessThan(0.05);
        expect(relative(fp8[i], full[i])).toBeGreaterThan(0.005);
      }
    });
  });

  test("tokens that are no multiple of 16 leave the backward pass in bf16", () => {
    manualSeed(3);
    scope(() => {
      const [x, w] = [random([5, 32], 1).requiresGrad_(), random([48, 32], 1).requiresGrad_()];
      const y = linearWithFp8Gradients(
        x,
        w,
        null,
        noGrad(() => toFp8(w.detach(), magnitudeOf(w.detach()))),
      );
      const seed = random([5, 48], 1);
      backward([y], [seed]);
      expect(relative(w.grad as Tensor, seed.transpose(0, 1).matmul(x.detach()))).toBeLessThan(1e-2);
      expect(relative(x.grad as Tensor, seed.matmul(w.detach()))).toBeLessThan(1e-2);
    });
  });

  test("a gradient that is not finite stays so", () => {
    scope(() => {
      const [x, w] = [random([16, 32], 1).requiresGrad_(), random([32, 32], 1).requiresGrad_()];
      const y = linearWithFp8Gradients(
        x,
        w,
        null,
        noGrad(() => toFp8(w.detach(), magnitudeOf(w.detach()))),
      );
      const seed = new Float32Array(16 * 32);
      seed[7] = Number.POSITIVE_INFINITY;
      backward([y], [Tensor.from(seed, [16, 32]).to("bfloat16").to(testDevice)]);
      expect(Number.isFinite((w.grad as Tensor).to("float32").sum().item())).toBe(false);
    });
  });

  test("it can be recorded and replayed", () => {
    useOwnStream(testDevice);
    manualSeed(4);
    scope(() => {
      const [x, w] = [random([64, 64], 1).requiresGrad_(), random([64, 64], 1).requiresGrad_()];
      const seed = random([64, 64], 1);
      const step = (): void => {
        for (const leaf of [x, w]) leaf.clearGrad();
        const weightFp8 = noGrad(() => scope(() => toFp8(w.detach(), magnitudeOf(w.detach()))));
        scope(() => backward([linearWithFp8Gradients(x, w, null, weightFp8)], [seed]));
      };
      step();
      const expected = (w.grad as Tensor).to("float32").toFloat32Array();
      const graph = DeviceGraph.record(testDevice, step);
      graph.replay();
      expect((w.grad as Tensor).to("float32").toFloat32Array()).toEqual(expected);
      for (const leaf of [x, w]) leaf.clearGrad();
      graph.dispose();
    });
  });
});
