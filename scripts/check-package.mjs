/**
 * Proves that what `npm pack` yields works for a stranger: packs, installs the tarball into an empty folder, and uses
 * it there through npx, as a library, and from TypeScript. The addon is compiled in a fresh cache, as on first use.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODEL = join(ROOT, "models", "sotu-llama-7m");
const work = mkdtempSync(join(tmpdir(), "crossblock-package-"));
const project = join(work, "project");
const env = { ...process.env, XDG_CACHE_HOME: join(work, "cache"), npm_config_update_notifier: "false" };

/**
 * Runs one command, in the empty project unless told otherwise.
 * @param {string} command @param {string[]} args @param {string} [cwd]
 * @returns {string} its standard output
 */
function run(command, args, cwd = project) {
  const result = spawnSync(command, args, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  if (result.status !== 0) {
    const said = result.error?.message ?? `${result.stdout}${result.stderr}`.trim();
    throw new Error(`"${[command, ...args].join(" ")}" ended with ${result.status ?? result.signal}:\n${said}`);
  }
  return result.stdout;
}

/** @param {boolean} condition @param {string} message */
function check(condition, message) {
  if (!condition) throw new Error(message);
}

/** @param {string} message */
function say(message) {
  process.stdout.write(`package: ${message}\n`);
}

function pack() {
  const [packed] = JSON.parse(
    run("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", work], ROOT).replace(/^[^[]*/, ""),
  );
  const paths = packed.files.map((/** @type {{ path: string }} */ file) => file.path);
  for (const needed of [
    "dist/cli/main.js",
    "dist/index.d.ts",
    "native/build/build.mjs",
    "native/addon.cpp",
    "text/NOTICE",
    "text/own.jsonl",
    "text/prose.jsonl.gz",
    "LICENSE",
  ]) {
    check(paths.includes(needed), `the tarball lacks ${needed}`);
  }
  const stray = paths.filter(
    (/** @type {string} */ path) =>
      !/^(dist|native)\/|^text\/(NOTICE|[a-z]+\.jsonl(\.gz)?)$|^docs\/.+\.md$|^[A-Z]+(\.md)?$|^package\.json$/.test(
        path,
      ) || /\.test\./.test(path),
  );
  check(stray.length === 0, `the tarball holds what it should not: ${stray.join(", ")}`);
  say(
    `${packed.filename}, ${paths.length} files, ${(packed.size / 1e3).toFixed(0)} kB packed, ${(packed.unpackedSize / 1e3).toFixed(0)} kB unpacked`,
  );
  return join(work, packed.filename);
}

/** @param {string} tarball */
function install(tarball) {
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "stranger", private: true, type: "module" }));
  run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", tarball]);
  say(`installed with ${readdirSync(join(project, "node_modules")).length} entries in node_modules`);
}

function checkDoctor() {
  const lines = run("npx", ["--no", "crossblock", "doctor", "--json"]).trim().split("\n");
  const report = JSON.parse(lines.at(-1) ?? "");
  check(
    report.addon.compiled && report.addon.path.startsWith(work),
    "the addon was not compiled into the user's cache",
  );
  say(`npx crossblock doctor: libtorch ${report.libtorch.version}, addon compiled on first use`);
}

function checkQuantize() {
  const text = join(project, "text.txt");
  const sentence = "The state of the union is strong, and the people of this country have work to do. ";
  writeFileSync(text, sentence.repeat(200));
  const command = [
    "--no",
    "crossblock",
    "quantize",
    MODEL,
    "--scheme",
    "W4A16g64",
    "--recipe",
    "rtn",
    "--calibration",
    text,
  ];
  const limits = ["--samples", "2", "--context", "64", "--out", join(project, "result"), "--json"];
  const last = JSON.parse(
    run("npx", [...command, ...limits])
      .trim()
      .split("\n")
      .at(-1) ?? "",
  );
  check(last.event === "done", `the last line of quantize is ${JSON.stringify(last)}`);
  check(existsSync(join(project, "result", "config.json")), "quantize wrote no config.json");
  say(`npx crossblock quantize: ${last.seconds.toFixed(1)} s`);
}

function checkLibrary() {
  const names = ["quantize", "evaluate", "loadModel"];
  const script = `import * as it from "crossblock"; process.stdout.write(Object.keys(it).join(" "));`;
  const exported = run(process.execPath, ["--input-type=module", "-e", script]).split(" ");
  for (const name of names) check(exported.includes(name), `import { ${name} } from "crossblock" finds nothing`);
  writeFileSync(
    join(project, "consumer.ts"),
    `import { ${names.join(", ")} } from "crossblock";\nexport const used = [${names.join(", ")}];\n`,
  );
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const settings = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "--lib",
    "es2023,esnext.disposable",
  ];
  const types = ["--typeRoots", join(ROOT, "node_modules", "@types"), "--types", "node", "--skipLibCheck"];
  run(process.execPath, [tsc, ...settings, ...types, "consumer.ts"]);
  say("the library can be imported, with its types");
}

try {
  install(pack());
  checkDoctor();
  checkQuantize();
  checkLibrary();
} catch (error) {
  process.stderr.write(`package: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
