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
import { FAULT_ROWS } from "./fault-rows.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DOCUMENT = join(ROOT, "docs", "measurements", "reliability.md");

const folder = mkdtempSync(join(tmpdir(), "crossblock-matrix-"));
/** @type {Map<string, { title: string, status: string }[]>} */
const results = new Map();
const wanted = process.argv.slice(2);
const former = readFileSync(DOCUMENT, "utf8");
for (const file of new Set(FAULT_ROWS.map(([, , name]) => name))) {
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
const lines = FAULT_ROWS.map(([fault, expected, file, pattern]) => {
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
