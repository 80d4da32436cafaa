import { availableParallelism } from "node:os";
import { expect, it } from "vitest";
import { defaultThreads } from "./default-threads.js";

it("is left to libtorch where OpenMP's variables say it", () => {
  expect(defaultThreads({ OMP_NUM_THREADS: "1" })).toBeNull();
  expect(defaultThreads({ MKL_NUM_THREADS: "3" })).toBeNull();
});

it("is at least a quarter of the processors (four threads a core), and never more than all", () => {
  const threads = defaultThreads({});
  expect(threads).toBeGreaterThanOrEqual(Math.max(1, Math.floor(availableParallelism() / 4)));
  expect(threads).toBeLessThanOrEqual(availableParallelism());
});
