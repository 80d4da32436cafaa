import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    globalSetup: ["test/fetch-judges.ts"],
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    // One process per file: the engine's state, its threads and its memory must not leak from one file into the next.
    pool: "forks",
    maxWorkers: 2,
    env: { OMP_NUM_THREADS: "1" },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
