/**
 * Makes a fresh clone ready: checks Node, finds or installs a C++ compiler and libtorch, installs the npm packages,
 * compiles src/ to dist/ and the native addon. Needs Node and nothing else, says one line a step, does only what is
 * missing, and may be interrupted and run again at any time.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const OLDEST_NODE = [20, 19];

/** A step that this script can't do for the user: what is wrong and what to run. */
class SetupError extends Error {
  /** @param {string} what @param {string} next */
  constructor(what, next) {
    super(`crossblock set-up: ${what}\nNext: ${next}`);
  }
}

/** @param {string} step @param {string} outcome */
function say(step, outcome) {
  process.stdout.write(`${step.padEnd(10)} ${outcome}\n`);
}

/** @param {number} start @returns {string} */
function since(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** @param {string} output @returns {string} the last lines of a command that failed */
function tail(output) {
  return output.trim().split("\n").slice(-12).join("\n");
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    throw new SetupError(
      `Node ${process.versions.node} is too old`,
      `install Node ${OLDEST_NODE.join(".")} or newer (https://nodejs.org/en/download), then run the same command again`,
    );
  }
  say("node", process.versions.node);
}

/** @returns {boolean} whether the system's BLAS is the reference one, which is 10 to 50 times slower than OpenBLAS */
function hasSlowBlas() {
  try {
    const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
    return /\/blas\/libblas/.test(realpathSync(`/usr/lib/${triplet}/libblas.so.3`));
  } catch {
    return false;
  }
}

/** @param {typeof import("../native/build/build.mjs")} native @returns {string[]} the apt packages that this machine lacks */
function missingPackages(native) {
  const libtorch = native.findLibtorch();
  const [compiler, ...torchAndBlas] = native.APT_PACKAGES;
  const blas = torchAndBlas.at(-1);
  return [
    ...(native.findCompiler() === null ? [compiler] : []),
    ...(libtorch === null ? torchAndBlas : libtorch.source === "system" && hasSlowBlas() ? [blas] : []),
  ];
}

/** @param {typeof import("../native/build/build.mjs")} native @param {string[]} packages */
function installWithApt(native, packages) {
  const command = native.aptCommand(packages);
  const start = performance.now();
  say("apt-get", `installing ${packages.join(" ")} (one to five minutes)`);
  const prefix = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const run = (/** @type {string[]} */ ...words) => {
    const [program, ...args] = [...prefix, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", ...words];
    return spawnSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 28 });
  };
  run("dpkg", "--configure", "-a"); // an installation that was interrupted blocks all others until this is done
  const wait = ["-o", "DPkg::Lock::Timeout=300"];
  const update = run("apt-get", ...wait, "update");
  const install = run("apt-get", ...wait, "install", "-y", "--no-install-recommends", ...packages);
  if (install.status !== 0) {
    const said = tail(`${update.status === 0 ? "" : update.stderr}${install.stderr}`);
    throw new SetupError(`apt-get failed:\n${said}`, `mend that, run "${command}", then the same command again`);
  }
  say("apt-get", `installed in ${since(start)}`);
}

/** @param {typeof import("../native/build/build.mjs")} native */
function findToolchain(native) {
  const missing = missingPackages(native);
  if (missing.length > 0 && native.usesApt()) {
    const mayInstall = process.getuid?.() === 0 || spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0;
    if (!mayInstall) {
      throw new SetupError(
        `${missing.join(", ")} must be installed, and that needs root`,
        `run "${native.aptCommand(missing)}", then the same command again`,
      );
    }
    installWithApt(native, missing);
  }
  const compiler = native.findCompiler();
  if (compiler === null) throw new SetupError("there is no C++ compiler", native.compilerHint());
  const libtorch = native.findLibtorch();
  if (libtorch === null) throw new SetupError("there is no libtorch 1.13 or newer", native.libtorchHint());
  say("compiler", [compiler.path, ...compiler.args].join(" "));
  say("libtorch", `${libtorch.version} in ${libtorch.root} (${libtorch.source})`);
}

/** @param {string} file @returns {Record<string, { version?: string, optional?: boolean, dev?: boolean }>} */
function lockedPackages(file) {
  return JSON.parse(readFileSync(file, "utf8")).packages;
}

/** @returns {boolean} whether node_modules holds what package-lock.json says; npm writes its own list there last */
function packagesAreInstalled() {
  const list = join(ROOT, "node_modules", ".package-lock.json");
  if (!existsSync(list)) return false;
  const installed = lockedPackages(list);
  return Object.entries(lockedPackages(join(ROOT, "package-lock.json"))).every(
    ([path, { version, optional }]) => path === "" || optional === true || installed[path]?.version === version,
  );
}

function installPackages() {
  if (packagesAreInstalled()) {
    say("packages", "node_modules is up to date");
    return;
  }
  const start = performance.now();
  const modules = join(ROOT, "node_modules");
  // What an interrupted npm has left makes the next one fail with ENOTEMPTY.
  if (!existsSync(join(modules, ".package-lock.json")))
    rmSync(modules, { recursive: true, force: true, maxRetries: 10 });
  const npm = spawnSync("npm", ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    // onnxruntime-node, with which the tests judge, would download kernels for GPUs. In .npmrc npm 11 would warn of it each time.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" },
  });
  if (npm.status !== 0) {
    const said = npm.error?.message ?? tail(npm.stderr);
    throw new SetupError(
      `"npm ci" failed:\n${said}`,
      "check the connection to the npm registry, then run the same command again",
    );
  }
  say("packages", `npm ci in ${since(start)}`);
}

async function compileSources() {
  const { build, isBuilt } = await import("./build.mjs");
  if (isBuilt()) {
    say("build", "dist is up to date");
    return;
  }
  const start = performance.now();
  try {
    build();
  } catch (error) {
    throw new SetupError(
      `src does not compile:\n${tail(String(error))}`,
      'run "npm run typecheck" and mend what it names',
    );
  }
  say("build", `dist in ${since(start)}`);
}

/** @param {typeof import("../native/build/build.mjs")} native */
function compileAddon(native) {
  const start = performance.now();
  let compiled = false;
  const addon = native.ensureAddon({
    log: (line) => {
      compiled = true;
      say("addon", line.replace(/^crossblock: /, ""));
    },
  });
  say("addon", compiled ? `compiled in ${since(start)}` : relative(ROOT, addon));
}

try {
  const start = performance.now();
  checkNode();
  const native = await import("../native/build/build.mjs");
  findToolchain(native);
  installPackages();
  await compileSources();
  compileAddon(native);
  say("ready", since(start));
} catch (error) {
  const known = error instanceof SetupError || (error instanceof Error && error.name === "BuildError");
  process.stderr.write(`${known ? error.message : error instanceof Error ? error.stack : error}\n`);
  process.exitCode = 1;
}
