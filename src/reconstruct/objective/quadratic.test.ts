import { describe, expect, it } from "vitest";
import { backward, manualSeed, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { Quadratic } from "./quadratic.js";

const wide = { dtype: "float64", device: on.device } as const;
const squares = (x: Tensor): Tensor => x.transpose(-2, -1).matmul(x);

function relative(actual: number, expected: number): number {
  return Math.abs(actual / expected - 1);
}

describe("the quadratic of attention", () => {
  it("is what an error in the queries does to the scores of one sequence", () => {
    scope(() => {
      manualSeed(51);
      // |K^T dW X|_F^2 = tr(K K^T dW X X^T dW^T), two heads.
      const [keys, x] = [Tensor.randn([2, 9, 4], wide), Tensor.randn([9, 6], wide)];
      const weight = Tensor.randn([8, 6], wide);
      const error = Tensor.randn([8, 6], wide);
      const quadratic = new Quadratic(weight, { columns: [{ matrix: squares(x) }], rows: squares(keys), heads: 2 });
      const loss = quadratic.loss(weight.add(error), 1).item();
      const scores = keys.matmul(error.reshape([2, 4, 6])).matmul(x.transpose(0, 1));
      expect(relative(loss, scores.square().sum().item())).toBeLessThan(1e-10);
      const costs = quadratic.costs(weight.add(error));
      expect(costs.shape).toEqual([2, 1]);
      expect(relative(costs.sum().item(), loss)).toBeLessThan(1e-10);
    });
  });

  it.each(["rows", "heads"])("has the gradient of what it computes, with factors of %s", (kind) => {
    scope(() => {
      manualSeed(52);
      const weight = Tensor.randn([6, 5], wide);
      const matrices = Array.from({ length: kind === "rows" ? 1 : 2 }, () => squares(Tensor.randn([7, 5], wide)));
      const rows = kind === "rows" ? squares(Tensor.randn([2, 7, 3], wide)) : null;
      const quadratic = new Quadratic(weight, { columns: matrices.map((matrix) => ({ matrix })), rows, heads: 2 });
      const quantized = Tensor.randn([6, 5], wide).requiresGrad_();
      backward(quadratic.loss(quantized, 3));
      const step = Tensor.randn([6, 5], wide);
      const at = (size: number): number => quadratic.loss(quantized.detach().add(step.mul(size)), 3).item();
      const slope = (at(0.5) - at(-0.5)) / 1;
      expect(relative((quantized.grad as Tensor).mul(step).sum().item(), slope)).toBeLessThan(1e-9);
    });
  });

  it("counts each row for itself where no row depends on another", () => {
    scope(() => {
      manualSeed(53);
      const weight = Tensor.randn([4, 3], wide);
      const matrix = squares(Tensor.randn([5, 3], wide));
      const quadratic = new Quadratic(weight, { columns: [{ matrix }], rows: null, heads: 1 });
      const quantized = Tensor.randn([4, 3], wide);
      const error = quantized.sub(weight);
      const expected = error.matmul(matrix).mul(error).sum(1, true);
      expect(quadratic.costs(quantized).sub(expected).abs().amax().item()).toBeLessThan(1e-12);
    });
  });
});
