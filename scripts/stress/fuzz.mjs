/** Runs every test of hostile input with many cases: `npm run fuzz [-- CASES [SEED]]`, 10,000 cases unless told otherwise. */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const [cases = "10000", seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2);
process.stdout.write(`${cases} cases each, seed ${seed}\n`);
const { status } = spawnSync(
  process.execPath,
  [join(ROOT, "node_modules", "vitest", "vitest.mjs"), "run", "hostile", "--testTimeout=1800000"],
  { cwd: ROOT, stdio: "inherit", env: { ...process.env, CROSSBLOCK_FUZZ_CASES: cases, CROSSBLOCK_FUZZ_SEED: seed } },
);
process.exitCode = status ?? 1;
