import { describe, expect, it } from "vitest";
import { manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { fromQuantizedWeight } from "../from-quantized-weight.js";
import { SecondMoments } from "../second-moments.js";
import { gptq } from "../solver/gptq.js";
import { toQuantizedWeight } from "../to-quantized-weight.js";
import { dequantize } from "./grid.js";
import { binaryRange, salienceRange } from "./group-grid.js";

const scheme = { bits: 2, groupSize: 16, symmetric: false, activationBits: 16 } as const;

function problem(): { readonly weight: Tensor; readonly moments: SecondMoments } {
  manualSeed(8);
  const moments = new SecondMoments(64, "cpu");
  scope(() => moments.add(Tensor.randn([200, 64]).matmul(Tensor.randn([64, 64]))));
  return { weight: Tensor.randn([6, 64]).mul(0.1), moments };
}

describe("a group of one bit", () => {
  it("has the two values mean|w| sign(w - mean w) + mean w", () => {
    scope(() => {
      const w = Tensor.from(Float32Array.of(0.9, -0.5, 0.3, -0.1), [1, 1, 4]);
      const { scale, zeroPoint } = binaryRange(w);
      // The mean is 0.15, that of the magnitudes 0.45.
      const values = [0, 1].map((code) => scale.item() * (code - zeroPoint.item()));
      expect(values[0]).toBeCloseTo(0.15 - 0.45, 2);
      expect(values[1]).toBeCloseTo(0.15 + 0.45, 2);
    });
  });

  it("is found by GPTQ at the nearer value, and comes back from the host as it was", () => {
    noGrad(() =>
      scope(() => {
        const { weight, moments } = problem();
        using _moments = moments;
        const groupBits = [1, 2, 2, 3];
        const rangeOf = (group: Tensor, bits: number) => (bits === 1 ? binaryRange(group.reshape([6, 1, 16])) : null);
        const { codes } = gptq(weight, moments, scheme, "layer", { groupBits, rangeOf });
        expect(codes).toMatchObject({ bits: 3, symmetric: false, groupBits });
        const first = codes.codes.narrow(1, 0, 16);
        expect([first.amin().item(), first.amax().item()]).toEqual([0, 1]);
        expect(codes.codes.amax().item()).toBeLessThanOrEqual(7);
        // The first column is corrected by none before it.
        const near = dequantize(codes).select(1, 0).toFloat32Array();
        const [scales, zeros] = [
          codes.scale.select(1, 0).toFloat32Array(),
          codes.zeroPoint.select(1, 0).toFloat32Array(),
        ];
        weight
          .select(1, 0)
          .toFloat32Array()
          .forEach((value, row) => {
            const [low, high] = [0, 1].map((code) => (scales[row] ?? 0) * (code - (zeros[row] ?? 0))) as [
              number,
              number,
            ];
            const nearer = Math.abs(value - low) < Math.abs(value - high) ? low : high;
            expect(near[row]).toBeCloseTo(nearer, 6);
          });
        const stored = toQuantizedWeight(codes, false);
        expect(stored.groupBits).toEqual(groupBits);
        expect(fromQuantizedWeight(stored, "cpu").toFloat32Array()).toEqual(dequantize(codes).toFloat32Array());
      }),
    );
  });
});

describe("bits of groups that are all the same", () => {
  it("give GPTQ's codes, scales and zero points", () => {
    noGrad(() =>
      scope(() => {
        const { weight, moments } = problem();
        using _moments = moments;
        const plain = gptq(weight, moments, scheme, "layer", { blockSize: 16 }).codes;
        const grouped = gptq(weight, moments, scheme, "layer", { blockSize: 16, groupBits: [2, 2, 2, 2] }).codes;
        for (const part of ["codes", "scale", "zeroPoint"] as const) {
          expect(grouped[part].toFloat32Array()).toEqual(plain[part].toFloat32Array());
        }
      }),
    );
  });
});

describe("ranges by salience", () => {
  const w = (): Tensor => {
    manualSeed(12);
    return Tensor.randn([5, 1, 32]);
  };

  it("are those of a search without a mask where lambda is 1", () => {
    scope(() => {
      const weight = w();
      const mask = weight.abs().gt(1).to("float32");
      const [masked, free] = [salienceRange(weight, 2, mask, 1), salienceRange(weight, 2, mask.mul(0), 5)];
      expect(masked.scale.toFloat32Array()).toEqual(free.scale.toFloat32Array());
      expect(masked.zeroPoint.toFloat32Array()).toEqual(free.zeroPoint.toFloat32Array());
    });
  });

  it("lose less of the salient weights the more these count", () => {
    scope(() => {
      const weight = w();
      const mask = weight.abs().gt(1.5).to("float32");
      const lost = (lambda: number): number => {
        const { scale, zeroPoint } = salienceRange(weight, 2, mask, lambda);
        const near = weight.div(scale).round().add(zeroPoint).clamp(0, 3).sub(zeroPoint).mul(scale);
        return near.sub(weight).abs().pow(2.4).mul(mask).sum().item();
      };
      expect(lost(100)).toBeLessThan(lost(1));
    });
  });
});
