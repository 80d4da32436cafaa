/**
 * Compiles the addon with AddressSanitizer and UndefinedBehaviorSanitizer and runs the tests of the folders that call it
 * directly: `npm run test:sanitize [-- FILE...]`, `src/tensor` and `src/quant` unless told otherwise. Linux with g++.
 *
 * All happens in a copy of the checkout, so that no other process loads that addon. In the copy tensors come from the
 * C library one by one and without padding: memory that our allocator keeps, or rounds up, would hide what is looked for.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const COPIED = ["native", "src", "dist", "test", "scripts", "package.json", "tsconfig.json", "vitest.config.ts"];
const SANITIZERS = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"];
/** The allocator's lines that are other in the copy. */
const EXACT = /** @type {const} */ ([
  ["constexpr size_t kSmallest = 64 * 1024;", "constexpr size_t kSmallest = size_t{1} << 60;"],
  [
    "const size_t size = small ? (needed + kAlignment - 1) / kAlignment * kAlignment : sizeClass(needed);",
    "const size_t size = needed;",
  ],
  [
    "void* block = small ? std::aligned_alloc(kAlignment, size) : HostPool::instance().take(size);",
    "void* block = small ? nullptr : HostPool::instance().take(size); if (posix_memalign(&block, kAlignment, size) != 0) block = nullptr;",
  ],
]);

const wanted = process.argv.slice(2);
const copy = mkdtempSync(join(tmpdir(), "crossblock-sanitize-"));
try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  for (const name of ["node_modules", "models"]) symlinkSync(join(ROOT, name), join(copy, name));
  const allocator = join(copy, "native", "memory", "host_allocator.cpp");
  const source = EXACT.reduce(
    (text, [line, other]) => {
      if (!text.includes(line))
        throw new Error(`native/memory/host_allocator.cpp has no "${line}" any more: change this script`);
      return text.replace(line, other);
    },
    readFileSync(allocator, "utf8"),
  );
  writeFileSync(allocator, source);

  /** @type {typeof import("../../native/build/build.mjs")} */
  const build = await import(pathToFileURL(join(copy, "native", "build", "build.mjs")).href);
  const libtorch = build.findLibtorch();
  const compiler = build.findCompiler();
  if (libtorch === null || compiler === null) throw new Error("run `npm run setup` first: libtorch or g++ is missing");
  const cache = join(copy, ".cache");
  mkdirSync(cache);
  const job = {
    libtorch,
    compiler: { ...compiler, args: [...compiler.args, ...SANITIZERS] },
    target: build.addonPath(libtorch, cache),
  };
  process.stdout.write("compiling the addon with sanitizers (a few minutes)\n");
  const compiled = spawnSync(process.execPath, [join(copy, "native", "build", "compile.mjs"), JSON.stringify(job)], {
    encoding: "utf8",
  });
  if (compiled.status !== 0) throw new Error(compiled.stdout);

  const runtime = spawnSync(compiler.path, ["-print-file-name=libasan.so"], { encoding: "utf8" }).stdout.trim();
  const reports = join(copy, "reports");
  mkdirSync(reports);
  // Leaks: V8 and libtorch keep much until the process ends. Signals: V8 has handlers of its own. Freed memory in
  // quarantine: a test measures the size of the process.
  const options = `detect_leaks=0:quarantine_size_mb=16:handle_segv=0:allow_user_segv_handler=1:log_path=${join(reports, "report")}`;
  const vitest = join(copy, "node_modules", "vitest", "vitest.mjs");
  const files = wanted.length > 0 ? wanted : ["src/tensor", "src/quant"];
  const tests = spawnSync(process.execPath, [vitest, "run", ...files, "--maxWorkers=1"], {
    cwd: copy,
    stdio: "inherit",
    env: { ...process.env, LD_PRELOAD: runtime, ASAN_OPTIONS: options, UBSAN_OPTIONS: "print_stacktrace=1" },
  });
  const found = readdirSync(reports);
  for (const name of found.slice(0, 5)) process.stdout.write(`${readFileSync(join(reports, name), "utf8")}\n`);
  process.stdout.write(`libtorch ${libtorch.version}: reports of the sanitizers in ${found.length} processes\n`);
  process.exitCode = tests.status === 0 && found.length === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}
