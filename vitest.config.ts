import { readdirSync, readFileSync } from "node:fs";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const files = ["src", "test"].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => `${folder}/${file}`),
);

/** Files that replace modules, which others must not see, or that say in their first line that they are alone in their process. */
const alone: string[] = [];
/** Files that all replace the engine's client by the engine, and nothing else. */
const withEngine: string[] = [];
const together: string[] = [];
for (const file of files) {
  const text = readFileSync(file, "utf8");
  const replaced = [...text.matchAll(/^vi\.(?:mock|doMock)\((?:import\()?"([^"]*)"/gm)].map((match) => match[1] ?? "");
  if (text.startsWith("// Alone in its process")) alone.push(file);
  else if (replaced.length === 0) together.push(file);
  else (replaced.every((module) => module.endsWith("/engine-client.js")) ? withEngine : alone).push(file);
}

/**
 * `own`: a process for each file. Else two processes run all of them, one behind the other: libtorch is loaded, and the modules
 * are compiled, twice and not hundreds of times. What files share they leave as they found it.
 */
function project(name: string, include: string[], own: boolean): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      include,
      isolate: own,
      pool: "forks",
      maxWorkers: 2,
      setupFiles: ["test/leave-as-found.ts"],
      // Compiled already: Node loads the library and the command line, as it does for users.
      server: { deps: { external: [/\/dist\//] } },
      // onnxruntime reports its use over the network unless it is told not to.
      env: { OMP_NUM_THREADS: "1", ORT_DISABLE_TELEMETRY: "1" },
      // Against hanging only: beside other work a test takes many times as long as alone. Processes that tests start are watched
      // for silence (test/fixtures/run-program.ts).
      testTimeout: 1_800_000,
      hookTimeout: 1_800_000,
    },
  };
}

export default defineConfig({
  test: {
    globalSetup: ["test/fetch-judges.ts", "test/temporary-folder.ts", "test/choose-libtorch.ts"],
    maxWorkers: 2,
    teardownTimeout: 300_000,
    // They come in the order of their names.
    projects: [
      project("1-own-process", alone, true),
      project("2-engine-inside", withEngine, false),
      project("3-together", together, false),
    ],
  },
});
