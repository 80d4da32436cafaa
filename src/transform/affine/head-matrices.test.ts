import { describe, expect, it } from "vitest";
import { backward, manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { isDominant } from "./gradual-mask.js";
import { HeadMatrices } from "./head-matrices.js";

describe("matrices of heads", () => {
  const matrices = (alpha: number): HeadMatrices =>
    new HeadMatrices({
      owner: "m",
      uses: [{ linear: "v", side: "rows", by: "inverse", times: 1 }],
      ...{ groups: 2, width: 6, form: "any", alpha, device: "cpu" },
    });

  it("are a diagonal, bit for bit, without alpha or behind an empty mask", () => {
    scope(() => {
      manualSeed(64);
      const weight = Tensor.randn([12, 5]);
      const scales = Tensor.randn([2, 6]).mul(0.1).exp();
      const outcome = (alpha: number): number[] => {
        using part = disposing(matrices(alpha));
        const [diagonal, beside] = part.it.parameters.map(({ tensor }) => tensor);
        noGrad(() => diagonal?.copy_(scales));
        noGrad(() => beside?.fill_(0.2));
        part.it.enterEpoch(0, 4);
        return [...noGrad(() => part.it.weight("v", weight)).toFloat32Array()];
      };
      const expected = weight.reshape([2, 6, 5]).mul(scales.reciprocal().unsqueeze(2)).reshape([12, 5]);
      const rows = [...expected.toFloat32Array()];
      expect(outcome(0)).toEqual(outcome(0.5));
      for (const [i, value] of outcome(0).entries()) expect(value).toBeCloseTo(rows[i] as number, 5);
    });
  });

  it("get no gradient outside the mask", () => {
    scope(() => {
      manualSeed(65);
      const weight = Tensor.randn([12, 5]);
      using part = disposing(matrices(0.1));
      // A band of two on each side.
      part.it.enterEpoch(2, 6);
      backward(
        part.it
          .weight("v", weight)
          .mul(Tensor.randn([12, 5]))
          .sum(),
      );
      const gradient = part.it.parameters[1]?.tensor.grad?.reshape([2, 6, 6]) as Tensor;
      const inside = Tensor.ones([6, 6])
        .triu(-2)
        .mul(Tensor.ones([6, 6]).tril(2));
      expect(gradient.mul(inside.neg().add(1)).abs().amax().item()).toBe(0);
      const off = inside.sub(inside.triu(0).mul(inside.tril(0)));
      expect(gradient.mul(off).abs().gt(0).sum().item()).toBe(off.sum().item() * 2);
    });
  });

  it("stay dominant however large their elements grow", () => {
    scope(() => {
      manualSeed(66);
      using part = disposing(matrices(1));
      noGrad(() => part.it.parameters[1]?.tensor.copy_(Tensor.randn([2, 6, 6]).mul(3)));
      part.it.enterEpoch(5, 6);
      expect(isDominant(part.it.matrices())).toBe(true);
      const product = part.it.weight("v", part.it.matrices().transpose(1, 2).reshape([12, 6]));
      const identity = Tensor.ones([6, 6])
        .triu(0)
        .mul(Tensor.ones([6, 6]).tril(0));
      expect(product.reshape([2, 6, 6]).sub(identity).abs().amax().item()).toBeLessThan(1e-5);
    });
  });
});

function disposing<T extends { dispose(): void }>(it: T): { readonly it: T } & Disposable {
  return { it, [Symbol.dispose]: () => it.dispose() };
}
