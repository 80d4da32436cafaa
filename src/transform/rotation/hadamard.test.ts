import { describe, expect, it } from "vitest";
import { scope, Tensor } from "../../tensor/index.js";
import { hadamardFactors, multiplyKronecker } from "./hadamard.js";

const identity = (n: number): Tensor =>
  Tensor.from(
    Float32Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0)),
    [n, n],
  );
const rotated = (n: number): Tensor => multiplyKronecker(identity(n), hadamardFactors(n));

describe("hadamardFactors", () => {
  // Sylvester's, Paley's first and second construction, and the hidden sizes of SmolLM2, Qwen2 and Llama.
  it.each([1, 2, 64, 12, 20, 28, 36, 44, 60, 576, 896, 1024, 1536])("has entries of one size: %i", (n) => {
    scope(() => {
      const matrix = rotated(n);
      expect(matrix.matmul(matrix.transpose(0, 1)).sub(identity(n)).abs().amax().item()).toBeLessThan(1e-5);
      const magnitudes = matrix.abs().mul(Math.sqrt(n));
      expect(magnitudes.amax().item()).toBeCloseTo(1, 4);
      expect(magnitudes.amin().item()).toBeCloseTo(1, 4);
    });
  });

  it("is orthogonal, in blocks, where it knows no Hadamard matrix: 23 blocks of 4", () => {
    scope(() => {
      const n = 23 * 4;
      const matrix = rotated(n);
      expect(matrix.matmul(matrix.transpose(0, 1)).sub(identity(n)).abs().amax().item()).toBeLessThan(1e-5);
      expect(matrix.abs().sum().item()).toBeCloseTo(n * 2, 2);
    });
  });
});
