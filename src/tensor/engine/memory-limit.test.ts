// Alone in its process: a limit counts what other tests still hold.
import { afterEach, describe, expect, it } from "vitest";
import { backward, differentiable, liveHandles, MemoryLimit, scope, Tensor, TensorError } from "../index.js";
import { on, testDevice } from "../testing/test-device.js";

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

  it("hands out nothing that was kept from before it was set", () => {
    scope(() => void zeros(512));
    using _limit = MemoryLimit.set(testDevice, 256 * 2 ** 20);
    expect(outOfMemory(() => scope(() => zeros(512))).code).toBe("OUT_OF_MEMORY");
  });
});

describe("memory that runs out in a backward pass", () => {
  const live = liveHandles();
  afterEach(() => expect(liveHandles()).toBe(live));

  /** Doubles; its gradient takes as much memory as `spare` tensors of the input's size. */
  const doubled = (x: Tensor, spare: number): Tensor =>
    differentiable(
      [x],
      () => ({ output: x.mul(2) }),
      (gradient) => {
        const taken = Array.from({ length: spare }, () => Tensor.zeros(x.shape, on));
        return [taken.reduce((sum, tensor) => sum.add_(tensor), gradient.mul(2))];
      },
    );

  it.each([
    ["of our own", (x: Tensor): Tensor => doubled(x, 4)],
    ["of our own below libtorch's", (x: Tensor): Tensor => doubled(x, 4).exp()],
    ["of libtorch's", (x: Tensor): Tensor => x.exp().mul(2).exp().mul(2).exp().mul(2)],
  ])("is told from other failures, %s, and can be repeated", (_name, forward) => {
    scope(() => {
      const x = zeros(32).requiresGrad_();
      const gradient = Tensor.full(x.shape, 1, on);
      scope(() => {
        const y = forward(x);
        const used = 7 * 32;
        using _limit = MemoryLimit.set(testDevice, (used + 8) * 2 ** 20);
        const error = outOfMemory(() => backward([y], [gradient]));
        expect(error.code).toBe("OUT_OF_MEMORY");
        expect(error.message).toMatch(/out of memory[\s\S]*Next: use fewer sequences at once/);
        expect(error.message.match(/Next:/g)).toHaveLength(1);
      });
      x.clearGrad();
      scope(() => backward([forward(x)], [gradient]));
      expect(x.grad?.select(0, 0).item()).toBeGreaterThan(0);
      x.clearGrad();
    });
  });
});
