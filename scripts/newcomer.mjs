/**
 * A stranger's first minutes with what `npm pack` yields: packs, installs the tarball into an empty folder, runs the commands of
 * README.md there as they stand, and compiles and runs its TypeScript. The addon is compiled in a fresh cache, as on first use.
 * Names on the Hugging Face Hub lead to a model of two blocks, which a local server has (HF_ENDPOINT).
 */
import { spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript-5.9";
import { codeBlocks, packageCommands } from "./newcomer/code-blocks.mjs";
import { startLocalHub } from "./newcomer/local-hub.mjs";
import { writeTinyModel } from "./newcomer/tiny-model.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const work = mkdtempSync(join(tmpdir(), "crossblock-newcomer-"));
const project = join(work, "project");
const env = {
  ...process.env,
  XDG_CACHE_HOME: join(work, "cache"),
  HF_HOME: join(work, "hub-cache"),
  npm_config_update_notifier: "false",
};

/**
 * Runs one command, in the empty project unless told otherwise.
 * @param {string} command @param {readonly string[]} args @param {string} [cwd]
 * @returns {Promise<string>} its standard output
 */
async function run(command, args, cwd = project) {
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (piece) => (output += piece));
  child.stderr.on("data", (piece) => (errors += piece));
  const status = await new Promise((resolve, reject) =>
    child.on("error", reject).on("close", (code, signal) => resolve(code ?? signal)),
  );
  if (status !== 0) throw new Error(`"${[command, ...args].join(" ")}" ended with ${status}:\n${output}${errors}`);
  return output;
}

/** @param {boolean} condition @param {string} message */
function check(condition, message) {
  if (!condition) throw new Error(message);
}

/** @param {string} message */
function say(message) {
  process.stdout.write(`newcomer: ${message}\n`);
}

async function pack() {
  const said = await run("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", work], ROOT);
  const [packed] = JSON.parse(said.replace(/^[^[]*/, ""));
  /** @type {string[]} */
  const paths = packed.files.map((/** @type {{ path: string }} */ file) => file.path);
  const needed = [
    "dist/cli/main.js",
    "dist/crossblock.schema.json",
    "native/build/build.mjs",
    "native/addon.cpp",
    "text/NOTICE",
    "text/own.jsonl",
    "text/prose.jsonl.gz",
    "LICENSE",
  ];
  for (const path of needed) check(paths.includes(path), `the tarball lacks ${path}`);
  const declarations = paths.filter((path) => path.endsWith(".d.ts"));
  check(declarations.join() === "dist/index.d.ts", `the tarball declares ${declarations.join(", ")}`);
  const stray = paths.filter(
    (path) =>
      !/^(dist|native)\/|^text\/(NOTICE|[a-z]+\.jsonl(\.gz)?)$|^docs\/.+\.md$|^[A-Z]+(\.md)?$|^package\.json$/.test(
        path,
      ) || /\.test\./.test(path),
  );
  check(stray.length === 0, `the tarball holds what it should not: ${stray.join(", ")}`);
  const kilobytes = [packed.size, packed.unpackedSize].map((bytes) => `${(bytes / 1e3).toFixed(0)} kB`);
  say(`${packed.filename}, ${paths.length} files, ${kilobytes[0]} packed, ${kilobytes[1]} unpacked`);
  return packed.filename;
}

/** @param {string} tarball its name */
function prepare(tarball) {
  mkdirSync(join(project, "texts"), { recursive: true });
  copyFileSync(join(work, tarball), join(project, tarball));
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "newcomer", private: true, type: "module" }));
  // Words of all kinds, so that there is something to learn.
  const words = README.replaceAll(/<!--.*?-->|[|`*#[\]()]/g, " ").split(/\s+/);
  const sentence = (/** @type {number} */ i) =>
    Array.from({ length: 400 }, (_, j) => words[(i * 7 + j * 13) % words.length]).join(" ");
  for (let i = 0; i < 60; i++) writeFileSync(join(project, "texts", `${i}.txt`), sentence(i));
  writeFileSync(join(project, "held-out.txt"), sentence(1000));
}

async function runReadme() {
  const commands = packageCommands(README);
  check(
    commands.some((line) => /^npm i(nstall)? /.test(line)),
    "README.md does not say how to install the package",
  );
  for (const command of commands) {
    const started = performance.now();
    await run("bash", ["-ec", command]);
    say(`${((performance.now() - started) / 1000).toFixed(1)} s  ${command}`);
  }
  const doctor = JSON.parse(
    (await run("npx", ["--no", "crossblock", "doctor", "--json"])).trim().split("\n").at(-1) ?? "",
  );
  check(
    doctor.addon.compiled && doctor.addon.path.startsWith(work),
    "the addon was not compiled into the user's cache",
  );
}

async function runExamples() {
  const blocks = codeBlocks(README, ["ts", "js"]);
  check(blocks.length > 0, "README.md has no example of the library");
  for (const { code, line } of blocks) {
    const name = `readme-${line}`;
    writeFileSync(join(project, `${name}.ts`), code);
    for (const version of ["typescript-5.7", "typescript-5.9", "typescript"]) {
      const settings = [
        "--noEmit",
        "--strict",
        "--exactOptionalPropertyTypes",
        "--module",
        "nodenext",
        "--target",
        "es2022",
      ];
      await run(process.execPath, [
        join(ROOT, "node_modules", version, version === "typescript" ? "bin/tsc" : "lib/tsc.js"),
        ...settings,
        `${name}.ts`,
      ]);
    }
    const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
    writeFileSync(join(project, `${name}.mjs`), ts.transpileModule(code, { compilerOptions: options }).outputText);
    const output = await run(process.execPath, [`${name}.mjs`]);
    say(
      `the example at line ${line} of README.md compiles with TypeScript 5.7, 5.9 and 7, runs, and prints ${JSON.stringify(output.trim().split("\n").at(-1))}`,
    );
  }
}

let hub = null;
try {
  const tarball = await pack();
  prepare(tarball);
  const model = join(work, "model");
  writeTinyModel(model);
  hub = await startLocalHub(model);
  Object.assign(env, { HF_ENDPOINT: hub.url });
  await runReadme();
  await runExamples();
  check(existsSync(join(project, "node_modules", "crossblock")), "npm did not install the package");
  say(`installed with ${readdirSync(join(project, "node_modules")).length} entries in node_modules`);
} catch (error) {
  process.stderr.write(`newcomer: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  hub?.close();
  rmSync(work, { recursive: true, force: true });
}
