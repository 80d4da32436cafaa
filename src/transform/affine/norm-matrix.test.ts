import { describe, expect, it } from "vitest";
import { backward, type DType, manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { isDominant } from "./gradual-mask.js";
import { NormMatrix } from "./norm-matrix.js";

describe("a matrix behind a norm", () => {
  const matrixOf = (alpha: number, storedType: DType = "float32"): NormMatrix =>
    new NormMatrix({
      ...{ owner: "n", norm: "n", consumers: ["q", "k"], width: 8, alpha, storedType },
      device: "cpu",
    });

  it("gets no gradient outside the mask, and one from each of its Linears", () => {
    scope(() => {
      manualSeed(68);
      using part = disposing(matrixOf(0.1));
      part.it.enterEpoch(2, 8);
      const tensor = part.it.parameters[0]?.tensor as Tensor;
      const seen = ["q", "k"].map((linear) => {
        tensor.clearGrad();
        backward(
          part.it
            .weight(linear, Tensor.randn([5, 8]))
            .mul(Tensor.randn([5, 8]))
            .sum(),
        );
        return tensor.grad?.reshape([8, 8]) as Tensor;
      });
      const inside = Tensor.ones([8, 8])
        .triu(-2)
        .mul(Tensor.ones([8, 8]).tril(2));
      const off = inside.sub(inside.triu(0).mul(inside.tril(0)));
      for (const gradient of seen) {
        expect(gradient.mul(off.neg().add(1)).abs().amax().item()).toBe(0);
        expect(gradient.abs().gt(0).sum().item()).toBe(off.sum().item());
      }
      const other = Tensor.randn([5, 8]);
      expect(part.it.weight("o", other)).toBe(other);
    });
  });

  it("stays dominant however large its elements grow, and weights make up for how it is stored", () => {
    scope(() => {
      manualSeed(69);
      using part = disposing(matrixOf(1, "bfloat16"));
      noGrad(() => part.it.parameters[0]?.tensor.copy_(Tensor.randn([1, 8, 8]).mul(3)));
      part.it.enterEpoch(7, 8);
      const { matrix } = part.it.matrix();
      expect(isDominant(matrix)).toBe(true);
      expect(matrix.to("bfloat16").to("float32").sub(matrix).abs().amax().item()).toBe(0);
      const [weight, x] = [Tensor.randn([5, 8]), Tensor.randn([3, 8])];
      const through = x.linear(matrix, null).linear(part.it.weight("q", weight), null);
      const exact = x.linear(weight, null);
      expect(through.sub(exact).abs().amax().item() / exact.abs().amax().item()).toBeLessThan(1e-5);
      part.it.reset();
      expect([...part.it.matrix().matrix.toFloat32Array()]).toEqual([
        ...Float32Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 1 : 0)),
      ]);
    });
  });
});

function disposing<T extends { dispose(): void }>(it: T): { readonly it: T } & Disposable {
  return { it, [Symbol.dispose]: () => it.dispose() };
}
