import { describe, expect, it } from "vitest";
import { backward, scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { TensorQuantizer, TokenQuantizer } from "./activation.js";

describe("quantized inputs", () => {
  it.each(["float32", "bfloat16"] as const)("keep the dtype of the products, and learn their clip: %s", (dtype) => {
    scope(() => {
      const x = Tensor.randn([3, 5, 16], on).to(dtype);
      for (const quantizer of [new TokenQuantizer(4, on.device), new TensorQuantizer(4, 0.3, on.device)]) {
        const quantized = quantizer.apply(x);
        expect(quantized.dtype).toBe(dtype);
        backward(quantized.square().mean());
        const gradient = quantizer.parameters[0]?.tensor.grad;
        expect(gradient?.dtype).toBe("float32");
        expect(Number.isFinite(gradient?.item())).toBe(true);
        expect(gradient?.item()).not.toBe(0);
        quantizer.dispose();
      }
    });
  });
});
