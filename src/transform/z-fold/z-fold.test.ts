import { describe, expect, it } from "vitest";
import { linearOf, normWeights, type Site, type UnitWeights } from "../../network/index.js";
import { dequantize, roundToNearest } from "../../quant/grid/grid.js";
import { searchRange } from "../../quant/grid/range.js";
import { parseScheme } from "../../quant/scheme.js";
import { manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { zFold, zFoldFactors } from "./z-fold.js";

const scheme = parseScheme("W3A16", { asym: true });
const options = { rounds: 30, candidates: 30 };

function rounded(weight: Tensor): Tensor {
  return dequantize(roundToNearest(weight, searchRange(weight, scheme, "w", { candidates: 30 })));
}

describe("Z-Fold", () => {
  it("finds factors of the columns with which a grid loses far less", () => {
    scope(() => {
      manualSeed(71);
      // On a grid, but for what each column was multiplied by.
      const grid = rounded(Tensor.randn([40, 24], on));
      const columns = Tensor.from(
        Float32Array.from({ length: 24 }, (_, j) => 0.6 + (j % 5) * 0.3),
        [24],
        on,
      );
      const weight = grid.mul(columns);
      const zeta = zFoldFactors([weight.narrow(0, 0, 30), weight.narrow(0, 30, 10)], scheme, "w", options);
      const loss = (quantized: Tensor): number => quantized.sub(weight).square().sum().item();
      expect(loss(rounded(weight.div(zeta)).mul(zeta))).toBeLessThan(0.5 * loss(rounded(weight)));
      expect(zeta.amin().item()).toBeGreaterThan(0);
    });
  });

  it("is never worse than no factors, and takes none in no round", () => {
    scope(() => {
      manualSeed(72);
      const weight = Tensor.randn([16, 16], on);
      const loss = (quantized: Tensor): number => quantized.sub(weight).square().sum().item();
      const zeta = zFoldFactors([weight], scheme, "w", options);
      expect(loss(rounded(weight.div(zeta)).mul(zeta))).toBeLessThanOrEqual(loss(rounded(weight)) * (1 + 1e-5));
      const none = zFoldFactors([weight], scheme, "w", { ...options, rounds: 0 });
      expect([...none.toFloat32Array()]).toEqual(Array.from({ length: 16 }, () => 1));
    });
  });

  it("moves factors from the columns of all that read a norm into it, and leaves other sites alone", () => {
    scope(() => {
      manualSeed(73);
      const tensor = (...shape: number[]): Tensor => Tensor.randn(shape, on);
      const weights: UnitWeights = {
        layers: new Map([
          ["q", { weight: tensor(8, 16), bias: null }],
          ["k", { weight: tensor(4, 16), bias: null }],
          ["o", { weight: tensor(16, 8), bias: null }],
        ]),
        norms: new Map([["norm", { weight: tensor(16).abs().add(0.5), bias: tensor(16), offset: 0 }]]),
        tensors: new Map(),
      };
      const site = (kind: "norm" | "layer", name: string, ...consumers: string[]): Site => ({
        producer: { kind, name },
        consumers,
        passes: { kind: "linear" },
      });
      const [norm, other] = [site("norm", "norm", "q", "k"), site("layer", "q", "o")];
      const x = tensor(5, 16);
      const output = (name: string): Tensor => {
        const { weight: gains, bias } = weights.norms.get("norm") as { weight: Tensor; bias: Tensor };
        return x.mul(gains).add(bias).linear(linearOf(weights, name).weight);
      };
      const before = [output("q"), output("k")];
      const untouched = linearOf(weights, "o").weight.toArray();
      const gains = normWeights(weights, "norm").weight.toArray();
      expect(zFold(weights, [norm, other], () => scheme, "float32", options)).toEqual([norm]);
      for (const [i, name] of ["q", "k"].entries()) {
        expect(
          output(name)
            .sub(before[i] as Tensor)
            .abs()
            .amax()
            .item(),
        ).toBeLessThan(1e-4);
      }
      expect(weights.norms.get("norm")?.weight.toArray()).not.toEqual(gains);
      expect(weights.layers.get("o")?.weight.toArray()).toEqual(untouched);
    });
  });
});
