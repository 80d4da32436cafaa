/** Compiles src/ to dist/ with tsc. As a program it always does; set-up does so when a source has changed. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundleTypes } from "./bundle-types.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, "dist");
const CACHE = join(ROOT, ".cache");
const STAMP = join(CACHE, "dist.sha256");
const ENTRY = join(DIST, "cli", "main.js");

/** @returns {string} the hash of everything that dist/ is made of */
function sourceHash() {
  const sources = readdirSync(join(ROOT, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name));
  const settings = ["tsconfig.json", "tsconfig.build.json", "package-lock.json"].map((name) => join(ROOT, name));
  const hash = createHash("sha256");
  for (const file of [...sources.sort(), ...settings]) {
    hash.update(`${relative(ROOT, file)}\0`).update(readFileSync(file));
  }
  return hash.digest("hex");
}

/** @returns {boolean} whether dist/ is what the present sources give */
export function isBuilt() {
  return existsSync(DIST) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === sourceHash();
}

/** @param {string} folder the compiled sources; what editors check configuration files by is made from them */
function writeConfigSchema(folder) {
  const script = [
    'import { writeFileSync } from "node:fs";',
    `const { configSchema } = await import(${JSON.stringify(pathToFileURL(join(folder, "run/options/config-schema.js")).href)});`,
    `writeFileSync(${JSON.stringify(join(folder, "crossblock.schema.json"))}, JSON.stringify(configSchema(), null, 2) + "\\n");`,
  ];
  const made = spawnSync(process.execPath, ["--input-type=module", "-e", script.join("\n")], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(made.error?.message ?? made.stderr);
}

/**
 * Compiles into a new folder and then exchanges it for dist/, so that nobody finds half a build there. `despiteErrors` does so
 * with whatever tsc says: the types of options are made from the compiled schemas, and until then do not fit them.
 * @param {{ despiteErrors?: boolean }} [options]
 * @throws {Error} with what tsc says when the sources have errors
 */
export function build({ despiteErrors = false } = {}) {
  const hash = despiteErrors ? "" : sourceHash();
  const fresh = join(CACHE, `dist-new-${process.pid}`);
  const former = join(CACHE, `dist-old-${process.pid}`);
  mkdirSync(CACHE, { recursive: true });
  try {
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const emit = ["--noEmitOnError", `${!despiteErrors}`];
    const result = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", fresh, ...emit], {
      cwd: ROOT,
      encoding: "utf8",
    });
    if (result.status !== 0 && !despiteErrors)
      throw new Error(result.error?.message ?? `${result.stdout}${result.stderr}`.trim());
    rmSync(STAMP, { force: true });
    if (existsSync(DIST)) renameSync(DIST, former);
    renameSync(fresh, DIST);
    if (existsSync(ENTRY)) chmodSync(ENTRY, 0o755);
    if (despiteErrors) return;
    bundleTypes(DIST, "index.d.ts");
    // The schemas import what lies beside dist/, and so run in its place only.
    writeConfigSchema(DIST);
    writeFileSync(STAMP, hash);
  } finally {
    for (const folder of [fresh, former]) rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    build({ despiteErrors: process.argv.includes("--despite-errors") });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
