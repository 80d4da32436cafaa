import { describe, expect, it } from "vitest";
import { MemoryLimit, scope, Tensor, TensorError } from "./index.js";
import { on, testDevice } from "./testing/test-device.js";

const zeros = (megabytes: number): Tensor => Tensor.zeros([megabytes * 2 ** 18], on);

function outOfMemory(work: () => unknown): TensorError {
  try {
    work();
  } catch (error) {
    if (error instanceof TensorError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("a limit of memory", () => {
  it("refuses what exceeds it until it is lifted", () => {
    scope(() => {
      {
        using _limit = MemoryLimit.set(testDevice, 256 * 2 ** 20);
        expect(zeros(32).shape).toEqual([2 ** 23]);
        const error = outOfMemory(() => zeros(512));
        expect(error.code).toBe("OUT_OF_MEMORY");
        expect(error.message).toMatch(/out of memory[\s\S]*Next: use fewer sequences at once/);
      }
      expect(zeros(512).shape).toEqual([2 ** 27]);
    });
  });

  it("counts memory that is kept for the next tensors, and gives it back before it refuses", () => {
    using _limit = MemoryLimit.set(testDevice, 256 * 2 ** 20);
    for (const megabytes of [100, 120, 140, 150]) scope(() => void zeros(megabytes));
    scope(() => {
      zeros(130);
      expect(outOfMemory(() => zeros(140)).code).toBe("OUT_OF_MEMORY");
    });
    scope(() => void zeros(140));
  });
});
