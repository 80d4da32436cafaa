import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    globalSetup: ["test/fetch-judges.ts", "test/temporary-folder.ts", "test/choose-libtorch.ts"],
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    // One process per file: the engine's state, its threads and its memory must not leak from one file into the next.
    pool: "forks",
    // Compiled already: Node loads the library and the command line, as it does for users.
    server: { deps: { external: [/\/dist\//] } },
    maxWorkers: 2,
    // onnxruntime reports its use over the network unless it is told not to.
    env: { OMP_NUM_THREADS: "1", ORT_DISABLE_TELEMETRY: "1" },
    // Against hanging only: beside other work a test takes many times as long as alone. Processes that tests start are watched for
    // silence (test/fixtures/run-program.ts).
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    teardownTimeout: 300_000,
  },
});
