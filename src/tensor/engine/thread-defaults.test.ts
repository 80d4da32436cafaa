import { availableParallelism } from "node:os";
import { expect, it } from "vitest";
import { defaultThreads, letThreadsSleep } from "./thread-defaults.js";

it("is left to libtorch where OpenMP's variables say it", () => {
  expect(defaultThreads({ OMP_NUM_THREADS: "1" })).toBeNull();
  expect(defaultThreads({ MKL_NUM_THREADS: "3" })).toBeNull();
});

it("is at least a quarter of the processors (four threads a core), and never more than all", () => {
  const threads = defaultThreads({});
  expect(threads).toBeGreaterThanOrEqual(Math.max(1, Math.floor(availableParallelism() / 4)));
  expect(threads).toBeLessThanOrEqual(availableParallelism());
});

it("lets waiting threads sleep unless the user has chosen", () => {
  const none: NodeJS.ProcessEnv = {};
  letThreadsSleep(none);
  expect(none).toEqual({ OMP_WAIT_POLICY: "PASSIVE", OPENBLAS_THREAD_TIMEOUT: "20" });
  const blas = { OPENBLAS_THREAD_TIMEOUT: "26" };
  for (const chosen of [
    { OMP_WAIT_POLICY: "ACTIVE", ...blas },
    { GOMP_SPINCOUNT: "1000", ...blas },
  ]) {
    const env: NodeJS.ProcessEnv = { ...chosen };
    letThreadsSleep(env);
    expect(env).toEqual(chosen);
  }
});
