/**
 * Runs the tests of every fault and writes what was observed into the table of docs/measurements/reliability.md:
 * `npm run fault-matrix`, or of some files, `npm run fault-matrix -- FILE...`, which leaves the other rows as they are.
 * A fault whose test did not run or failed is written as such.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DOCUMENT = join(ROOT, "docs", "measurements", "reliability.md");

/** Fault, what is expected, the file of its tests, and a pattern of their names. */
const ROWS = /** @type {const} */ ([
  [
    "SIGKILL at a random moment, 5 times",
    "continues, no finished window lost, same codes",
    "test/run/kill.test.ts",
    /five times/,
  ],
  [
    "stop between any two windows; rtn, gptq, cbq with every rounding, CFP, both branches",
    "same bits as an undisturbed run",
    "src/run/journal/journal.test.ts",
    /same bits|any window/,
  ],
  [
    "artefact or manifest damaged, cut or gone",
    "discarded with a warning, its window done again, same codes",
    "src/run/journal/journal.test.ts",
    /discarded/,
  ],
  [
    "other options, model or text with the same work directory",
    "refused with what changed and two ways out",
    "src/run/journal/journal.test.ts",
    /another run is refused/,
  ],
  [
    "a second process in the same work directory",
    "refused, by process and host",
    "src/run/journal/work-lock.test.ts",
    /keeps a second|respected/,
  ],
  [
    "lock of a dead process, of a used-again id, of a silent host",
    "taken over",
    "src/run/journal/work-lock.test.ts",
    /taken over/,
  ],
  [
    "SIGTERM after a window",
    "exit 143, the same command continues",
    "test/run/signals.test.ts",
    /keeps what is finished/,
  ],
  ["second signal inside a long step", "ends by it", "test/run/signals.test.ts", /second signal/],
  ["worker terminated inside a backward", "the process lives", "test/run/signals.test.ts", /leaves the process alive/],
  [
    "worker thread dies of an error or exits",
    "reported by the main thread as EngineError",
    "test/command/engine-client.test.ts",
    /worker ends|fails the request|uncaught error|exit/,
  ],
  ["loss or gradient not finite once", "step skipped, said", "src/recipe/solve/faults.test.ts", /skips the step/],
  [
    "not finite three times in a row",
    "best state, rates times 0.1, said",
    "src/recipe/solve/faults.test.ts",
    /best state back/,
  ],
  ["never finite", "GPTQ chooses the codes, said", "src/recipe/solve/faults.test.ts", /makes GPTQ choose/],
  [
    "activations overflow in a layer",
    "rounded to nearest, said, all scales finite",
    "src/recipe/solve/faults.test.ts",
    /rounded to nearest/,
  ],
  [
    "device memory runs out",
    "micro-batch halves, the step repeats, the codes of a run that began with as many",
    "src/recipe/solve/faults.test.ts",
    /halves/,
  ],
  [
    "not one sequence fits",
    "typed error with the next action; what was tried is said",
    "src/recipe/solve/faults.test.ts",
    /not even one/,
  ],
  [
    "memory runs out in one process, another continues",
    "with as many sequences at once as were left",
    "src/run/journal/journal.test.ts",
    /as were left/,
  ],
  [
    "budget of memory too small",
    "refused before work starts, with what is needed",
    "src/run/plan/fit-memory.test.ts",
    /too small/,
  ],
  [
    "disk of the work directory full (tmpfs)",
    "typed error, nothing half-written, continues after space was made, same codes",
    "test/run/disk-faults.test.ts",
    /work directory on it/,
  ],
  [
    "disk of the result full (tmpfs)",
    "typed error, no result, only the export is done again",
    "test/run/disk-faults.test.ts",
    /result on it/,
  ],
  ["read-only disk", "typed error before anything is computed", "test/run/disk-faults.test.ts", /read-only/],
  [
    "no permission: result, work directory, weights, configuration, a result to replace",
    "typed error that names the place, nothing left, continues once it is given",
    "test/command/permissions.test.ts",
    /missing|taken|enough/,
  ],
  [
    "work directory or weights vanish during a run",
    "typed error; continues once the weights are back",
    "test/run/disk-faults.test.ts",
    /the work directory:|the weights:/,
  ],
  [
    "hostile safetensors, index, config.json, tokenizer",
    "typed errors, bounded memory, no look outside",
    "src/checkpoint/hostile-input.test.ts",
    /mutated/,
  ],
  [
    "hostile results, GGUF, JSONL, text, parquet",
    "typed errors, bounded memory",
    "test/command/hostile-files.test.ts",
    /mutat/,
  ],
  [
    "hostile artefacts and manifests",
    "what is intact, or a typed error; never a path outside",
    "src/run/journal/hostile-artefacts.test.ts",
    /./,
  ],
  [
    "wrong types, counts, disposed and foreign handles to every function of the addon",
    "an error, never a crash",
    "src/tensor/hostile-calls.test.ts",
    /./,
  ],
]);

const folder = mkdtempSync(join(tmpdir(), "crossblock-matrix-"));
/** @type {Map<string, { title: string, status: string }[]>} */
const results = new Map();
const wanted = process.argv.slice(2);
const former = readFileSync(DOCUMENT, "utf8");
for (const file of new Set(ROWS.map(([, , name]) => name))) {
  if (wanted.length > 0 && !wanted.includes(file)) continue;
  process.stdout.write(`${file}\n`);
  const report = join(folder, "report.json");
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  spawnSync(process.execPath, [vitest, "run", file, "--maxWorkers=1", "--reporter=json", `--outputFile=${report}`], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  results.set(
    file,
    testResults.flatMap(({ assertionResults }) => assertionResults),
  );
  rmSync(report);
}
rmSync(folder, { recursive: true });

let failed = 0;
const lines = ROWS.map(([fault, expected, file, pattern]) => {
  const kept = former.split("\n").find((line) => line.startsWith(`| ${fault} |`));
  if (!results.has(file) && kept !== undefined) return kept;
  const tests = (results.get(file) ?? []).filter(({ title }) => pattern.test(title));
  const passed = tests.filter(({ status }) => status === "passed").length;
  const skipped = tests.filter(({ status }) => status === "skipped" || status === "pending").length;
  if (tests.length === 0 || passed + skipped < tests.length) failed++;
  const observed =
    tests.length === 0
      ? "NOT TESTED"
      : `${passed} of ${tests.length} tests pass${skipped === 0 ? "" : `, ${skipped} skipped`}`;
  return `| ${fault} | ${expected} | ${observed} (\`${file}\`) |`;
});
const machine = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, Node ${process.versions.node}`;
const table = [
  `Measured on ${machine}, ${new Date().toISOString().slice(0, 10)}, by \`npm run fault-matrix\`.`,
  "",
  "| fault | expected | observed |",
  "|---|---|---|",
  ...lines,
].join("\n");
const marked = /(<!-- fault-matrix -->\n)[\s\S]*(<!-- \/fault-matrix -->)/;
writeFileSync(
  DOCUMENT,
  former.replace(marked, (_all, begin, end) => `${begin}${table}\n${end}`),
);
process.exitCode = failed === 0 ? 0 : 1;
