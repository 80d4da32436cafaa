import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  addonPath,
  BuildError,
  compileAddon,
  ensureAddon,
  findCompiler,
  findLibtorch,
} from "../../native/build/build.mjs";

const run = promisify(execFile);
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "crossblock-build-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A folder with the few files by which a libtorch is recognised. */
function fakeLibtorch(version: string, name = "torch"): string {
  const root = join(folder, name);
  const headers = join(root, "include/torch/csrc/api/include/torch");
  for (const path of [join(root, "lib"), join(root, "include/ATen"), headers]) mkdirSync(path, { recursive: true });
  writeFileSync(join(root, "lib/libtorch_cpu.so"), "");
  writeFileSync(join(root, "include/ATen/ATen.h"), "");
  const [major, minor, patch] = version.split(".");
  writeFileSync(
    join(headers, "version.h"),
    `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH ${patch}\n`,
  );
  return root;
}

function program(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Takes its time like a compiler, counts its calls, and writes what it was told to write. */
function fakeCompiler(): string {
  return program(
    "c++",
    `echo call >> ${folder}/calls\ncase "$*" in *--version*) exit;; esac\n` +
      'sleep 0.2\nwhile [ "$1" != "-o" ]; do shift; done\necho compiled > "$2"',
  );
}

function environment(extra: Record<string, string>): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"], ...extra };
}

function failure(action: () => unknown): BuildError {
  try {
    action();
  } catch (error) {
    if (error instanceof BuildError) return error;
  }
  throw new Error("no BuildError was thrown");
}

describe("findLibtorch", () => {
  it("takes the folder of CROSSBLOCK_LIBTORCH first", () => {
    const root = fakeLibtorch("2.4.1");
    const found = findLibtorch(environment({ CROSSBLOCK_LIBTORCH: root }));
    expect(found).toMatchObject({ root, version: "2.4.1", cuda: false, source: "CROSSBLOCK_LIBTORCH" });
    expect(found?.libraryFolder).toBe(join(root, "lib"));
  });

  it("takes the active python3's torch next, without importing it", () => {
    const site = join(folder, "site");
    mkdirSync(site);
    const root = fakeLibtorch("2.4.1", "site/torch");
    writeFileSync(join(root, "__init__.py"), 'raise RuntimeError("imported")');
    writeFileSync(join(root, "version.py"), "__version__ = '2.4.1+cu121'\n");
    program("python3", `echo ${root}`);
    const found = findLibtorch({ PATH: `${folder}:${process.env["PATH"]}` });
    expect(found).toMatchObject({ root, version: "2.4.1+cu121", source: "python" });
  });

  it("sees CUDA by its library", () => {
    const root = fakeLibtorch("2.4.1");
    writeFileSync(join(root, "lib/libtorch_cuda.so"), "");
    expect(findLibtorch(environment({ CROSSBLOCK_LIBTORCH: root }))?.cuda).toBe(true);
  });

  it("says what to set when CROSSBLOCK_LIBTORCH names another folder", () => {
    const error = failure(() => findLibtorch(environment({ CROSSBLOCK_LIBTORCH: folder })));
    expect(error.where).toBe(folder);
    expect(error.next).toMatch(/set CROSSBLOCK_LIBTORCH/);
  });

  it("refuses versions before 1.13", () => {
    const error = failure(() => findLibtorch(environment({ CROSSBLOCK_LIBTORCH: fakeLibtorch("1.12.1") })));
    expect(error.message).toMatch(/1\.12\.1 is older than 1\.13.*Next: set CROSSBLOCK_LIBTORCH/);
  });
});

describe("findCompiler", () => {
  it("takes CXX with its arguments, and nothing else where CXX is set", () => {
    const path = fakeCompiler();
    expect(findCompiler({ CXX: `${path} -m64`, PATH: "" })).toEqual({ path, args: ["-m64"] });
    expect(findCompiler(environment({ CXX: "no-such-compiler" }))).toBeNull();
  });
});

describe("ensureAddon", () => {
  it("compiles once, says so once, and afterwards only finds the file", () => {
    const env = environment({ CROSSBLOCK_LIBTORCH: fakeLibtorch("2.4.1"), CXX: fakeCompiler() });
    const cache = join(folder, "cache");
    const lines: string[] = [];
    const first = ensureAddon({ env, cache, log: (line) => lines.push(line) });
    expect(readFileSync(first, "utf8")).toBe("compiled\n");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^crossblock: compiling the native addon for libtorch 2\.4\.1 \(once, about \d+ s\)$/);
    const calls = readFileSync(join(folder, "calls"), "utf8");
    expect(ensureAddon({ env, cache, log: (line) => lines.push(line) })).toBe(first);
    expect(lines).toHaveLength(1);
    expect(readFileSync(join(folder, "calls"), "utf8")).toBe(calls);
  });

  it("gives every libtorch its own file", () => {
    const [older, newer] = ["2.4.1", "2.5.0"].map((version) => {
      const libtorch = findLibtorch(environment({ CROSSBLOCK_LIBTORCH: fakeLibtorch(version, `torch-${version}`) }));
      return libtorch === null ? "" : addonPath(libtorch, folder);
    });
    expect(older).toMatch(/crossblock-2\.4\.1-[0-9a-f]{16}\.node$/);
    expect(newer).not.toBe(older);
  });

  it("lets several processes compile at once, and leaves whole addons only", async () => {
    const env = environment({ CROSSBLOCK_LIBTORCH: fakeLibtorch("2.4.1"), CXX: fakeCompiler() });
    const cache = join(folder, "cache");
    const module = new URL("../../native/build/build.mjs", import.meta.url).href;
    const script = `import { ensureAddon } from ${JSON.stringify(module)};
      process.stdout.write(ensureAddon({ cache: ${JSON.stringify(cache)}, log: () => undefined }));`;
    const results = await Promise.all(
      [1, 2, 3].map(() => run(process.execPath, ["--input-type=module", "-e", script], { env })),
    );
    const paths = new Set(results.map((result) => result.stdout));
    expect(paths.size).toBe(1);
    expect(readFileSync([...paths].join(""), "utf8")).toBe("compiled\n");
    expect(readdirSync(cache).filter((name) => name.startsWith("compile-"))).toEqual([]);
  });

  it("gives the compiler's first error and the log where a compilation fails", () => {
    const CXX = program("c++", 'echo "a.cpp:1:2: error: first" >&2\necho "a.cpp:3:4: error: second" >&2\nexit 1');
    const env = environment({ CROSSBLOCK_LIBTORCH: fakeLibtorch("2.4.1"), CXX });
    const cache = join(folder, "cache");
    const error = failure(() => ensureAddon({ env, cache, log: () => undefined }));
    expect(error.why).toBe("a.cpp:1:2: error: first");
    expect(error.next).toContain(join(cache, "compile.log"));
    expect(readFileSync(join(cache, "compile.log"), "utf8")).toContain("a.cpp:3:4: error: second");
    expect(readdirSync(cache)).toEqual(["compile.log"]);
  });

  it("says how to get a compiler where there is none", () => {
    const env = environment({ CROSSBLOCK_LIBTORCH: fakeLibtorch("2.4.1"), CXX: "no-such-compiler" });
    const error = failure(() => ensureAddon({ env, cache: folder, log: () => undefined }));
    expect(error.what).toMatch(/no C\+\+ compiler/);
    expect(error.next).toMatch(/set CXX/);
  });

  it("says what to do where the cache can't be written", () => {
    const env = environment({ CROSSBLOCK_LIBTORCH: fakeLibtorch("2.4.1"), CXX: fakeCompiler() });
    writeFileSync(join(folder, "file"), "");
    const error = failure(() => ensureAddon({ env, cache: join(folder, "file", "cache"), log: () => undefined }));
    expect(error.next).toMatch(/XDG_CACHE_HOME/);
  });
});

describe("compileAddon", () => {
  it("compiles beside other work and tells the parts, and has nothing to do where the addon is there", async () => {
    const cache = join(folder, "cache");
    const env = environment({ CROSSBLOCK_LIBTORCH: fakeLibtorch("2.4.1"), CXX: fakeCompiler() });
    const compiling = compileAddon({ env, cache });
    expect(compiling?.version).toBe("2.4.1");
    expect(compiling?.waitingFor()).toEqual([]);
    const seen = new Set<string>();
    const timer = setInterval(() => {
      for (const part of compiling?.waitingFor() ?? []) seen.add(part);
    }, 5);
    const path = await compiling?.done;
    clearInterval(timer);
    expect(compiling?.waitingFor()).toEqual([]);
    expect([...seen]).toContain("engine");
    expect(compileAddon({ env, cache })).toBeNull();
    expect(ensureAddon({ env, cache, log: () => undefined })).toBe(path);
  });

  it("rejects with what went wrong, and at once where there is no compiler", async () => {
    const libtorch = fakeLibtorch("2.4.1");
    const broken = program("c++", 'echo "x.cpp:3: error: no such thing" >&2; exit 1');
    const env = environment({ CROSSBLOCK_LIBTORCH: libtorch, CXX: broken });
    await expect(compileAddon({ env, cache: join(folder, "cache") })?.done).rejects.toThrow(/no such thing/);
    const none = { CROSSBLOCK_LIBTORCH: libtorch, PATH: folder };
    expect(failure(() => compileAddon({ env: none, cache: folder })).next).toContain("g++");
  });

  it("is stopped by its signal", async () => {
    const stopping = new AbortController();
    const env = environment({ CROSSBLOCK_LIBTORCH: fakeLibtorch("2.4.1"), CXX: program("c++", "exec sleep 600") });
    const cache = join(folder, "cache");
    const compiling = compileAddon({ env, cache, signal: stopping.signal });
    stopping.abort();
    await expect(compiling?.done).rejects.toThrow();
  });
});
