import { describe, expect, it } from "vitest";
import { EnvironmentError } from "../../errors.js";
import { backward, callTensor, DeterministicOperators, fixWorkspaces, hasOperator, scope, Tensor } from "../index.js";
import { on, testDevice } from "../testing/test-device.js";

fixWorkspaces();

describe("deterministic operators", () => {
  it("want a workspace of cuBLAS that is fixed", () => {
    const env: NodeJS.ProcessEnv = {};
    expect(() => new DeterministicOperators("cuda:0", env)).toThrow(EnvironmentError);
    expect(() => new DeterministicOperators("cuda:0", env)).toThrow(/Next: start the process with CUBLAS_WORKSPACE/);
    fixWorkspaces(env);
    new DeterministicOperators("cuda:0", env)[Symbol.dispose]();
    const given: NodeJS.ProcessEnv = { CUBLAS_WORKSPACE_CONFIG: ":0:0" };
    fixWorkspaces(given);
    expect(given["CUBLAS_WORKSPACE_CONFIG"]).toBe(":0:0");
  });

  it.skipIf(testDevice === "cpu")("refuse what has no order (needs CROSSBLOCK_TEST_DEVICE=cuda:0)", () => {
    using _operators = new DeterministicOperators(testDevice);
    expect(() => scope(() => callTensor("aten::histc", [Tensor.ones([9], on)]))).toThrow(/deterministic/);
  });

  const fused = hasOperator("aten::scaled_dot_product_attention");
  it.skipIf(!fused).each(["float32", "bfloat16"] as const)(
    "give fused attention the same gradients every time, in %s (needs PyTorch 2)",
    (dtype) => {
      using _operators = new DeterministicOperators(testDevice);
      const gradients = (): Float32Array[] =>
        scope(() => {
          const [q, k, v] = [1, 2, 3].map((factor) => {
            const values = Tensor.arange(2 * 4 * 512 * 64, { dtype: "float32" })
              .mul(factor * 0.7)
              .sin();
            return values.reshape([2, 4, 512, 64]).to(dtype).to(testDevice).requiresGrad_();
          }) as [Tensor, Tensor, Tensor];
          const output = callTensor("aten::scaled_dot_product_attention", [q, k, v, null, 0, true]);
          backward(output.to("float32").square().sum());
          return [q, k, v].map((x) => (x.grad as Tensor).to("float32").toFloat32Array());
        });
      const first = gradients();
      for (let i = 0; i < 4; i++) expect(gradients()).toEqual(first);
    },
  );
});
