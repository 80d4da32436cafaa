/**
 * Finds libtorch and compiles the native addon against it. Plain Node without dependencies, because set-up runs it
 * before there is a node_modules, and because a package from npm compiles its addon on first use.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { BuildError } from "./build-error.mjs";
import { findLibtorch, noLibtorch } from "./find-libtorch.mjs";
import { compileFlags, linkFlags } from "./flags.mjs";
import { compilerHint } from "./install-hints.mjs";

export { APT_PACKAGES, aptCommand, compilerHint, libtorchHint, usesApt } from "./install-hints.mjs";
export { BuildError, findLibtorch };

const NATIVE_FOLDER = dirname(dirname(fileURLToPath(import.meta.url)));
const PACKAGE_FOLDER = dirname(NATIVE_FOLDER);
const COMPILE_PROGRAM = join(NATIVE_FOLDER, "build", "compile.mjs");

/** @param {string} folder @returns {string[]} */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** @returns {string} */
function sourceHash() {
  const hash = createHash("sha256");
  for (const file of filesBelow(NATIVE_FOLDER)) {
    if (!/\.(cpp|h|hpp|inc|cuh?)$/.test(file)) continue;
    hash.update(`${relative(NATIVE_FOLDER, file)}\0`).update(readFileSync(file));
  }
  return hash.digest("hex");
}

/** @param {string} name @param {NodeJS.ProcessEnv} env @returns {string | undefined} */
function onPath(name, env) {
  const candidates = isAbsolute(name)
    ? [name]
    : (env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name));
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}

/**
 * The C++ compiler: CXX (which may carry arguments, "ccache g++"), then g++, then clang++.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {import("./build.mjs").Compiler | null}
 */
export function findCompiler(env = process.env) {
  const chosen = (env["CXX"] ?? "").split(/\s+/).filter((word) => word !== "");
  for (const [name, ...args] of chosen.length > 0 ? [chosen] : [["g++"], ["clang++"]]) {
    const path = name === undefined ? undefined : onPath(name, env);
    if (path !== undefined) return { path, args };
  }
  return null;
}

/** @param {NodeJS.ProcessEnv} [env] @returns {string} where compiled addons are kept */
export function cacheFolder(env = process.env) {
  // Only a checkout has the sources: there the cache stays inside it, and survives `npm ci`.
  if (existsSync(join(PACKAGE_FOLDER, "tsconfig.json"))) return join(PACKAGE_FOLDER, ".cache");
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "crossblock");
}

/**
 * The addon's file for one libtorch. Its name changes with libtorch's version, place and build, with the addon's
 * sources and with the flags, so that an existing file is always the right one.
 * @param {import("./build.mjs").Libtorch} libtorch
 * @param {string} [cache]
 * @returns {string}
 */
export function addonPath(libtorch, cache = cacheFolder()) {
  const library = readdirSync(libtorch.libraryFolder).find((name) => /^libtorch_cpu\.(so|dylib)$/.test(name));
  const built = library === undefined ? undefined : statSync(join(libtorch.libraryFolder, library));
  const key = [
    process.platform,
    process.arch,
    libtorch.root,
    libtorch.version,
    built?.size,
    built?.mtimeMs,
    sourceHash(),
    compileFlags(libtorch),
    linkFlags(libtorch),
  ];
  const hash = createHash("sha256").update(JSON.stringify(key)).digest("hex").slice(0, 16);
  return join(cache, `crossblock-${libtorch.version}-${hash}.node`);
}

/** @param {string} folder */
function makeWritable(folder) {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (cause) {
    throw new BuildError({
      what: "the folder for the compiled addon can't be written",
      where: folder,
      why: cause instanceof Error ? cause.message : String(cause),
      next: "set XDG_CACHE_HOME to a folder that you may write to",
    });
  }
}

/**
 * What has to be compiled, or the path of the addon that is there.
 * @param {NodeJS.ProcessEnv} env @param {string | undefined} cache
 * @returns {{ path: string } | { version: string, target: string, args: string[], env: NodeJS.ProcessEnv }}
 * @throws {BuildError} without libtorch or a compiler
 */
function compilation(env, cache) {
  const libtorch = findLibtorch(env);
  if (libtorch === null) throw noLibtorch();
  const target = addonPath(libtorch, cache ?? cacheFolder(env));
  if (existsSync(target)) return { path: target };
  const compiler = findCompiler(env);
  if (compiler === null) {
    throw new BuildError({
      what: "no C++ compiler was found, and the native addon must be compiled",
      next: compilerHint(),
    });
  }
  makeWritable(dirname(target));
  const { NODE_OPTIONS: _, ...childEnv } = env;
  const args = [COMPILE_PROGRAM, JSON.stringify({ libtorch, compiler, target })];
  return { version: libtorch.version, target, args, env: childEnv };
}

/**
 * The compiled addon for the libtorch of this machine; compiles it if that was not done yet.
 * Blocks while it compiles: the engine's first call is synchronous.
 * @param {import("./build.mjs").EnsureOptions} [options]
 * @returns {string} the path of the .node file
 * @throws {BuildError} without libtorch, without a compiler, or when the compilation fails
 */
export function ensureAddon({ log = (line) => process.stderr.write(`${line}\n`), env = process.env, cache } = {}) {
  const needed = compilation(env, cache);
  if ("path" in needed) return needed.path;
  const { target, args } = needed;
  log(`crossblock: compiling the native addon for libtorch ${needed.version} (once, about 15 s)`);
  const child = spawnSync(process.execPath, args, {
    env: needed.env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.status === 0 && existsSync(target)) return target;
  throw failure(child.stdout, child.error?.message ?? child.stderr?.trim().split("\n").at(-1), child.signal);
}

/** @param {string | null} stdout @param {string | undefined} why @param {string | null} signal */
function failure(stdout, why, signal) {
  const details = /^\{.*\}$/m.exec(stdout ?? "")?.[0];
  if (details !== undefined) return new BuildError(JSON.parse(details));
  return new BuildError({
    what: "the native addon did not compile",
    why: why || `the compiling process ended by ${signal}`,
    next: "run the same command again",
  });
}

/**
 * Compiles the addon if that was not done yet, beside other work, and tells what the compiler is at.
 * @param {import("./build.mjs").CompileOptions} [options]
 * @returns {import("./build.mjs").Compiling | null} null where it is there already
 * @throws {BuildError} without libtorch or a compiler
 */
export function compileAddon({ env = process.env, cache, signal } = {}) {
  const needed = compilation(env, cache);
  if ("path" in needed) return null;
  const child = spawn(process.execPath, needed.args, { env: needed.env, stdio: ["ignore", "pipe", "pipe"], signal });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  const done = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, ended) => {
      if (code === 0 && existsSync(needed.target)) resolve(needed.target);
      else reject(failure(stdout, stderr.trim().split("\n").at(-1), ended));
    });
  });
  const parts = (/** @type {RegExp} */ line) => Array.from(stdout.matchAll(line), ([, name]) => name);
  return {
    version: needed.version,
    done,
    waitingFor: () => {
      const compiled = parts(/^compiled (.+)$/gm);
      return parts(/^compiling (.+)$/gm).filter((name) => !compiled.includes(name));
    },
  };
}
