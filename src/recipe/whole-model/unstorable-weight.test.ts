import { expect, it } from "vitest";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { liveHandles, Tensor } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { unstorableWeight } from "./unstorable-weight.js";

it("finds what is no number, or overflows where it is stored", () => {
  const live = liveHandles();
  const tensors = new Map(
    ["half", "brain"].map((name, i) => [name, { dtype: ["F16", "BF16"][i], shape: [2] } as unknown as TensorInfo]),
  );
  const job = { checkpoint: { tensors }, poll: () => {} } as unknown as RecipeJob;
  const found = (name: string, value: number): string | null => {
    using tensor = Tensor.from(Float32Array.of(1, value), [2]);
    return unstorableWeight(job, new Map([[name, tensor]]));
  };
  expect(found("half", 65_504)).toBeNull();
  expect(found("half", 70_000)).toBe("half");
  expect(found("brain", 70_000)).toBeNull();
  expect(found("brain", Number.NaN)).toBe("brain");
  expect(found("other", 1e38)).toBeNull();
  expect(found("other", Number.NEGATIVE_INFINITY)).toBe("other");
  expect(liveHandles()).toBe(live);
});
