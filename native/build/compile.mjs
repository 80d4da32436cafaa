/**
 * The compiling half of build.mjs, as a program: ensureAddon blocks, compiling in parallel does not.
 * Its one argument is JSON: { libtorch, compiler, target }. Standard output has a line for each part, "compiling NAME" and
 * "compiled NAME"; a failure goes there as one line of JSON.
 *
 * All .cpp files form one translation unit: parsing libtorch's headers is most of the time (8 s of a file's 9), so
 * seven files apart take 34 s on two cores and together 14. Two files must therefore not give the same name to two
 * things in unnamed namespaces. Those of kernels/ know no libtorch and form a unit per instruction set.
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BuildError } from "./build-error.mjs";
import { commonFlags, kernelVariants, libtorchFlags, linkFlags, openMpFlags } from "./flags.mjs";
import { compilerHint } from "./install-hints.mjs";

const NATIVE_FOLDER = dirname(dirname(fileURLToPath(import.meta.url)));
const KERNEL_FOLDER = "kernels";
const CUDA_KERNEL_FOLDER = join(NATIVE_FOLDER, "cuda", "kernels");
const ADDONS_KEPT = 8;

/**
 * @typedef {{ name: string, files: string[], flags: string[] }} Unit
 * @param {string[]} libtorchFlags flags that only the files with libtorch's headers need
 * @returns {Promise<Unit[]>}
 */
async function translationUnits(libtorchFlags) {
  const files = (await readdir(NATIVE_FOLDER, { recursive: true })).filter((name) => name.endsWith(".cpp")).sort();
  const inKernels = (/** @type {string} */ name) => dirname(name) === KERNEL_FOLDER;
  const paths = (/** @type {string[]} */ names) => names.map((name) => join(NATIVE_FOLDER, name));
  const kernels = paths(files.filter(inKernels));
  return [
    { name: "engine", files: paths(files.filter((name) => !inKernels(name))), flags: libtorchFlags },
    ...kernelVariants().map((variant) => ({ ...variant, files: kernels })),
  ];
}

/**
 * The CUDA kernels as text in a header: NVRTC compiles them on the user's machine, for the GPU that it has.
 * @param {string} work the folder that the header is written to
 */
async function embedCudaSources(work) {
  const names = (await readdir(CUDA_KERNEL_FOLDER)).filter((name) => /\.cuh?$/.test(name)).sort();
  const entries = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(CUDA_KERNEL_FOLDER, name), "utf8");
      return `{${JSON.stringify(name)}, R"CUDA(${text})CUDA"},\n`;
    }),
  );
  const header = `constexpr struct {\n  const char* name;\n  const char* text;\n} kCudaSources[] = {\n${entries.join("")}};\n`;
  await writeFile(join(work, "cuda_sources.h"), header);
}

/** @returns {string[]} the folders of the Node-API headers, wherever npm has put the two packages */
function nodeHeaders() {
  const require = createRequire(import.meta.url);
  const folder = (/** @type {string} */ name) => dirname(require.resolve(`${name}/package.json`));
  try {
    return [join(folder("node-api-headers"), "include"), folder("node-addon-api")];
  } catch {
    throw new BuildError({
      what: "the npm packages node-api-headers and node-addon-api are not installed",
      where: dirname(NATIVE_FOLDER),
      next: 'run "npm install" in the folder whose node_modules crossblock is in',
    });
  }
}

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();

// Who stops the compilation leaves no compilers running, and what they began is removed.
process.once("SIGTERM", () => {
  for (const child of running) child.kill();
});

/**
 * Runs one command; everything that it prints is kept.
 * @param {string} command @param {string[]} args @param {string} cwd
 * @returns {Promise<{ ok: boolean, output: string, signal: string | null }>}
 */
function runCommand(command, args, cwd) {
  return new Promise((settle) => {
    let output = `$ ${command} ${args.join(" ")}\n`;
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => settle({ ok: false, output: `${output}${error.message}\n`, signal: null }));
    child.on("close", (code, signal) => {
      running.delete(child);
      settle({ ok: code === 0, output, signal });
    });
  });
}

/**
 * Says when work on a part begins and ends.
 * @template T @param {string} name @param {() => Promise<T>} work @returns {Promise<T>}
 */
async function told(name, work) {
  process.stdout.write(`compiling ${name}\n`);
  const result = await work();
  process.stdout.write(`compiled ${name}\n`);
  return result;
}

/** @param {{ output: string, signal: string | null }[]} failures @param {string} log */
function compileFailure(failures, log) {
  const output = failures.map((failure) => failure.output).join("");
  const killed = failures.some((failure) => failure.signal === "SIGKILL") || /Killed signal|out of memory/.test(output);
  const firstError = /^.*\b(?:fatal error|error|undefined reference|cannot find)\b.*$/m.exec(output)?.[0].trim();
  return new BuildError({
    what: "the native addon did not compile",
    where: log,
    why: killed ? "the compiler was killed; it needs about 1 GB of free memory" : (firstError ?? "the compiler failed"),
    next: killed
      ? "free some memory and run the same command again"
      : `read ${log}; a C++ compiler that knows this libtorch's C++ standard (g++ 11 or newer) may be missing: ${compilerHint()}`,
  });
}

/** @param {string} cache keeps the newest addons, and removes what an interrupted compilation left an hour ago */
async function prune(cache) {
  const entries = await Promise.all(
    (await readdir(cache)).map(async (name) => ({ name, time: (await stat(join(cache, name))).mtimeMs })),
  );
  const newest = entries.filter(({ name }) => name.endsWith(".node")).sort((a, b) => b.time - a.time);
  const stale = entries.filter(({ name, time }) => name.startsWith("compile-") && time < Date.now() - 3_600_000);
  // An addon's compiled CUDA kernels bear its name in front.
  const gone = newest.slice(ADDONS_KEPT).map(({ name }) => name);
  const doomed = [...entries.filter(({ name }) => gone.some((addon) => name.startsWith(addon))), ...stale];
  await Promise.all(doomed.map(({ name }) => rm(join(cache, name), { recursive: true, force: true })));
}

/**
 * Compiles the addon into `target`: into a folder of this process first, then renamed, so that processes that compile
 * at the same time, or die while they do, leave only whole addons behind.
 * @param {import("./build.mjs").Libtorch} libtorch
 * @param {import("./build.mjs").Compiler} compiler
 * @param {string} target
 */
async function compile(libtorch, compiler, target) {
  const cache = dirname(target);
  const work = join(cache, `compile-${process.pid}-${randomBytes(4).toString("hex")}`);
  const log = join(cache, "compile.log");
  await mkdir(work, { recursive: true });
  try {
    const probe = spawnSync(compiler.path, [...compiler.args, "--version"], { encoding: "utf8" });
    const openMp = openMpFlags(libtorch, !/clang/i.test(probe.stdout ?? ""));
    const engineFlags = [...libtorchFlags(libtorch), ...openMp.compile];
    for (const folder of nodeHeaders()) engineFlags.push("-isystem", folder);
    await embedCudaSources(work);
    engineFlags.push("-I", work);
    const units = await Promise.all(
      (await translationUnits(engineFlags)).map(async ({ name, files, flags }) => {
        const source = join(work, `${name}.cpp`);
        await writeFile(source, files.map((file) => `#include ${JSON.stringify(file)}\n`).join(""));
        const object = join(work, `${name}.o`);
        return {
          name,
          object,
          args: [...compiler.args, ...commonFlags(libtorch), ...flags, "-I", NATIVE_FOLDER, "-c", source, "-o", object],
        };
      }),
    );
    const compiled = await Promise.all(
      units.map(({ name, args }) => told(name, () => runCommand(compiler.path, args, work))),
    );
    const output = compiled.map((result) => result.output).join("");
    await writeFile(log, output);
    const failures = compiled.filter((result) => !result.ok);
    if (failures.length > 0) throw compileFailure(failures, log);
    const built = join(work, "addon.node");
    const objects = units.map(({ object }) => object);
    const link = [...compiler.args, ...objects, "-o", built, ...linkFlags(libtorch), ...openMp.link];
    const linked = await told("the whole", () => runCommand(compiler.path, link, work));
    await writeFile(log, output + linked.output);
    if (!linked.ok) throw compileFailure([linked], log);
    await rename(built, target);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  await prune(cache).catch(() => undefined); // another process may be pruning the same files
}

try {
  const { libtorch, compiler, target } = JSON.parse(process.argv[2] ?? "");
  await compile(libtorch, compiler, target);
} catch (error) {
  const unforeseen = { what: `compiling the native addon failed: ${error}`, next: "run the same command again" };
  const { what, where, why, next } = error instanceof BuildError ? error : unforeseen;
  process.stdout.write(`${JSON.stringify({ what, where, why, next })}\n`);
  process.exitCode = 1;
}
