import { describe, expect, it } from "vitest";
import { backward, liveHandles, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { ClippedTensorQuantizer, type Clips, clipsOf, StoredTensorQuantizer } from "./asymmetric-tensor.js";

interface Response {
  readonly output: number;
  readonly x: number;
  readonly low: number;
  readonly high: number;
}

/** What one number becomes, and the gradients of that. */
function response(value: number, clips: Clips, bits: number, aligned = false): Response {
  return scope(() => {
    const quantizer = new ClippedTensorQuantizer(bits, clips, on.device, { aligned });
    const x = Tensor.full([1, 1], value, on).requiresGrad_();
    const output = quantizer.apply(x);
    backward(output.sum());
    const [low, high] = quantizer.parameters.map(({ tensor }) => tensor.grad?.item() ?? Number.NaN);
    const found = { output: output.item(), x: x.grad?.item() ?? Number.NaN, low: low as number, high: high as number };
    quantizer.dispose();
    return found;
  });
}

const ends = { low: -1, high: 1 };

describe("inputs quantized per tensor with two learnt ends", () => {
  it("round to 1/3 from 0.5 on four levels of [-1, 1], and tell both ends", () => {
    const { output, x, low, high } = response(0.5, ends, 2);
    expect(output).toBeCloseTo(1 / 3, 6);
    expect([x, high, low]).toEqual([1, expect.closeTo(-0.08333, 5), expect.closeTo(0.08333, 5)]);
  });

  it("tell only the end that cuts", () => {
    expect(response(2, ends, 2)).toEqual({ output: 1, x: 0, low: 0, high: 1 });
    expect(response(-1.5, ends, 2)).toEqual({ output: -1, x: 0, low: 1, high: 0 });
    // In all of the range of (-3, 4), that beyond 3 and that below the lower end included.
    for (const value of [-2.9, -1, 0.2, 2, 3.2, 3.9]) expect(response(value, { low: -3, high: 4 }, 4).x).toBe(1);
  });

  it("have the gradients of the formula over many numbers at once", () => {
    scope(() => {
      manualSeed(2);
      const clips = { low: -1.3, high: 2.1 };
      const quantizer = new ClippedTensorQuantizer(4, clips, on.device, { aligned: false });
      const [x, weight] = [Tensor.randn([5, 40], on).mul(1.5), Tensor.randn([5, 40], on)];
      backward(quantizer.apply(x).mul(weight).sum());
      const [values, weights] = [x.toFloat32Array(), weight.toFloat32Array()];
      const step = (clips.high - clips.low) / 15;
      let [low, high] = [0, 0];
      values.forEach((value, i) => {
        const g = weights[i] as number;
        const u = (value - clips.low) / step;
        if (value >= clips.high) high += g;
        else if (value <= clips.low) low += g;
        else {
          high += (g * (Math.round(u) - u)) / 15;
          low -= (g * (Math.round(u) - u)) / 15;
        }
      });
      const [of, to] = quantizer.parameters.map(({ tensor }) => tensor.grad?.item());
      expect(of).toBeCloseTo(low, 3);
      expect(to).toBeCloseTo(high, 3);
      quantizer.dispose();
    });
  });

  it("have zero on the grid where it is aligned, with ends that move by half a step at most", () => {
    scope(() => {
      const quantizer = new ClippedTensorQuantizer(4, { low: -1, high: 2.17 }, on.device, { aligned: true });
      const grid = { scale: quantizer.value(), zeroPoint: quantizer.zeroPoint() };
      expect(Number.isInteger(grid.zeroPoint)).toBe(true);
      expect(
        quantizer
          .apply(Tensor.zeros([1, 3], on))
          .abs()
          .amax()
          .item(),
      ).toBe(0);
      const { low, high } = clipsOf(grid, 4);
      expect(Math.abs(low + 1)).toBeLessThanOrEqual(grid.scale / 2 + 1e-6);
      expect(Math.abs(high - 2.17)).toBeLessThanOrEqual(grid.scale / 2 + 1e-6);
      quantizer.dispose();
    });
  });

  it.each(["float32", "bfloat16"] as const)("compute the same bits once they are stored: %s", (dtype) => {
    const live = liveHandles();
    for (const aligned of [true, false]) {
      scope(() => {
        const learnt = new ClippedTensorQuantizer(4, { low: -0.73, high: 1.91 }, on.device, { aligned });
        const grid = { scale: learnt.value(), zeroPoint: learnt.zeroPoint() };
        const stored = new StoredTensorQuantizer(4, grid, on.device);
        const x = Tensor.randn([4, 64], on).to(dtype);
        const [ours, theirs] = [x.clone().requiresGrad_(), x.clone().requiresGrad_()];
        const [a, b] = [learnt.apply(ours), stored.apply(theirs)];
        expect([a.dtype, a.sub(b).abs().amax().item()]).toEqual([dtype, 0]);
        backward([a.sum(), b.sum()]);
        expect(
          ours.grad
            ?.sub(theirs.grad as Tensor)
            .abs()
            .amax()
            .item(),
        ).toBe(0);
        expect([stored.value(), stored.zeroPoint()]).toEqual([grid.scale, grid.zeroPoint]);
        learnt.dispose();
        stored.dispose();
      });
    }
    expect(liveHandles()).toBe(live);
  });

  it("round before a whole zero point is added, as ONNX does: of a tie it does not decide which level is even", () => {
    scope(() => {
      const values = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5];
      for (const zeroPoint of [3, 4]) {
        const stored = new StoredTensorQuantizer(4, { scale: 1, zeroPoint }, on.device);
        const x = Tensor.from(Float32Array.from(values)).to(on.device);
        expect([...stored.apply(x).toFloat32Array()]).toEqual([-2, -2, 0, 0, 2, 2, 4]);
        stored.dispose();
      }
      // What is added first costs digits: 255 + 0.499998 is 255.5 in fp32.
      const high = new StoredTensorQuantizer(8, { scale: 1, zeroPoint: 250 }, on.device);
      expect(high.apply(Tensor.full([1], 0.499998, on)).item()).toBe(0);
      high.dispose();
    });
  });
});
