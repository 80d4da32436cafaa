import { expect, test } from "vitest";
import { OptionError } from "../../errors.js";
import { hasFp8Products } from "../../tensor/index.js";
import { testDevice } from "../../tensor/testing/test-device.js";
import { gradientPrecision } from "./gradient-precision.js";

const options = (gradients: "auto" | "full" | "fp8", dtype: "float32" | "bfloat16") => ({
  compute: { gradients, dtype, threads: null },
});

test("a CPU, and products in float32, leave gradients in full precision", () => {
  expect(gradientPrecision(options("auto", "bfloat16"), { hiddenSize: 8192 }, "cpu")).toBe("full");
  expect(gradientPrecision(options("auto", "float32"), { hiddenSize: 8192 }, testDevice)).toBe("full");
});

test("asked for where it can't be, fp8 is refused with the way out", () => {
  expect(() => gradientPrecision(options("fp8", "bfloat16"), { hiddenSize: 8192 }, "cpu")).toThrow(OptionError);
  expect(() => gradientPrecision(options("fp8", "bfloat16"), { hiddenSize: 8192 }, "cpu")).toThrow(
    "compute.gradients=auto",
  );
});

test.skipIf(!hasFp8Products(testDevice))(
  "a GPU that can takes large models in fp8 by itself, small ones when asked",
  () => {
    expect(gradientPrecision(options("auto", "bfloat16"), { hiddenSize: 8192 }, testDevice)).toBe("fp8");
    expect(gradientPrecision(options("auto", "bfloat16"), { hiddenSize: 576 }, testDevice)).toBe("full");
    expect(gradientPrecision(options("fp8", "bfloat16"), { hiddenSize: 576 }, testDevice)).toBe("fp8");
  },
);
