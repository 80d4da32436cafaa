/**
 * Installs llama.cpp, as node-llama-cpp packs it, into .cache: the quickstart and the tests let it judge GGUF files. It
 * is no dependency of the repository, because npm would bring its programs for every kind of GPU along (700 MB);
 * here it is the one for this machine's processor (90 MB). Run it as `node scripts/fetch/fetch-llama-cpp.mjs`.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const VERSION = "3.22.1";

/** @type {Readonly<Record<string, string>>} */
const PROGRAMS = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "darwin-x64": "mac-x64",
  "darwin-arm64": "mac-arm64-metal",
};

/** The project in whose node_modules node-llama-cpp lies, once it was fetched. */
export const LLAMA_CPP_PROJECT = join(ROOT, ".cache", "llama-cpp");

/**
 * @returns {Promise<string | null>} the project's folder; null where no program exists for this machine
 * @throws {Error} when the registry can't be reached; the message says what to do
 */
export async function fetchLlamaCpp() {
  const program = PROGRAMS[`${process.platform}-${process.arch}`];
  if (program === undefined) return null;
  if ((await installedVersion()) === VERSION) return LLAMA_CPP_PROJECT;
  await mkdir(dirname(LLAMA_CPP_PROJECT), { recursive: true });
  const work = await mkdtemp(`${LLAMA_CPP_PROJECT}-`);
  try {
    await writeFile(join(work, "package.json"), '{ "private": true }\n');
    const packages = [`node-llama-cpp@${VERSION}`, `@node-llama-cpp/${program}@${VERSION}`];
    const flags = ["--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
    await promisify(execFile)("npm", ["install", "--prefix", work, ...flags, ...packages], { cwd: work });
    await rm(LLAMA_CPP_PROJECT, { recursive: true, force: true });
    await rename(work, LLAMA_CPP_PROJECT);
    return LLAMA_CPP_PROJECT;
  } catch (error) {
    const lines = String(Reflect.get(Object(error), "stderr") ?? error)
      .trim()
      .split("\n");
    const cause = lines.find((line) => /ERR!|E[A-Z]{4,}/.test(line)) ?? lines.at(-1);
    throw new Error(
      `node-llama-cpp could not be fetched: ${cause}\nNext: check that npm reaches its registry (npm ping), then run the same command again`,
      { cause: error },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** @returns {Promise<string | null>} */
async function installedVersion() {
  const file = join(LLAMA_CPP_PROJECT, "node_modules", "node-llama-cpp", "package.json");
  return existsSync(file) ? String(JSON.parse(await readFile(file, "utf8")).version) : null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    console.log((await fetchLlamaCpp()) ?? "no llama.cpp for this machine");
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
