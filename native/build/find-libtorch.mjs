import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { BuildError } from "./build-error.mjs";
import { libtorchHint } from "./install-hints.mjs";

const OLDEST = [1, 13];
const EXTENSION = process.platform === "darwin" ? "dylib" : "so";
const TRIPLETS = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };
const API_HEADERS = "include/torch/csrc/api/include";

/**
 * Asks for the location without importing torch: an import takes seconds.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | undefined} the torch package folder of the active Python
 */
function pythonTorchFolder(env) {
  const code =
    'import importlib.util as u\ns = u.find_spec("torch")\nprint(list(s.submodule_search_locations)[0] if s else "")';
  // A folder called torch in the current directory must not be taken for the package.
  const python = spawnSync("python3", ["-c", code], { env, cwd: "/", encoding: "utf8", timeout: 20_000 });
  const folder = python.status === 0 ? python.stdout.trim() : "";
  return folder === "" ? undefined : folder;
}

/**
 * @param {string} root
 * @returns {string | undefined} "1.13.1"; for a pip package with its build, "2.11.0+cu130"
 */
function readVersion(root) {
  const python = join(root, "version.py");
  if (existsSync(python)) {
    const version = /^__version__ = '([^']+)'/m.exec(readFileSync(python, "utf8"))?.[1];
    if (version !== undefined) return version;
  }
  for (const header of ["include/torch/headeronly/version.h", `${API_HEADERS}/torch/version.h`]) {
    const file = join(root, header);
    if (!existsSync(file)) continue;
    const text = readFileSync(file, "utf8");
    const parts = ["MAJOR", "MINOR", "PATCH"].map(
      (part) => new RegExp(`#define TORCH_VERSION_${part} (\\d+)`).exec(text)?.[1],
    );
    if (!parts.includes(undefined)) return parts.join(".");
  }
  return undefined;
}

/**
 * Looks at one folder: a pip torch package, an unpacked libtorch, or a prefix such as /usr.
 * @param {string} root
 * @param {import("./build.mjs").LibtorchSource} source
 * @returns {import("./build.mjs").Libtorch | undefined} undefined unless its library and headers are both there
 */
function inspect(root, source) {
  const folders = ["lib", `lib/${TRIPLETS[process.arch] ?? process.arch}`, "lib64"].map((name) => join(root, name));
  const libraryFolder = folders.find((folder) => existsSync(join(folder, `libtorch_cpu.${EXTENSION}`)));
  const version = readVersion(root);
  if (libraryFolder === undefined || version === undefined || !existsSync(join(root, API_HEADERS))) return undefined;
  return {
    root,
    includes: [join(root, "include"), join(root, API_HEADERS)],
    libraryFolder,
    version,
    cuda: existsSync(join(libraryFolder, `libtorch_cuda.${EXTENSION}`)),
    source,
  };
}

/** @param {import("./build.mjs").Libtorch} libtorch */
function isTooOld(libtorch) {
  const [major = 0, minor = 0] = libtorch.version.split(".").map((part) => Number.parseInt(part, 10));
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/**
 * Finds libtorch: CROSSBLOCK_LIBTORCH, then the torch of the active python3, then the system's (libtorch-dev).
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {import("./build.mjs").Libtorch | null} null when there is none that is 1.13 or newer
 */
export function findLibtorch(env = process.env) {
  const chosen = env["CROSSBLOCK_LIBTORCH"];
  if (chosen !== undefined && chosen !== "") {
    const found = inspect(resolve(chosen), "CROSSBLOCK_LIBTORCH");
    if (found === undefined) {
      throw new BuildError({
        what: "no libtorch in the folder that CROSSBLOCK_LIBTORCH names",
        where: chosen,
        why: `lib/libtorch_cpu.${EXTENSION} and ${API_HEADERS} must both be in it`,
        next: `set CROSSBLOCK_LIBTORCH to what "python3 -c 'import torch; print(torch.__path__[0])'" prints, or unset it`,
      });
    }
    if (isTooOld(found)) {
      throw new BuildError({
        what: `libtorch ${found.version} is older than ${OLDEST.join(".")}`,
        where: chosen,
        next: "set CROSSBLOCK_LIBTORCH to a newer one, or unset it",
      });
    }
    return found;
  }
  const python = pythonTorchFolder(env);
  const candidates = python === undefined ? [] : [inspect(python, "python")];
  candidates.push(inspect("/usr", "system"), inspect("/usr/local", "system"));
  return candidates.find((found) => found !== undefined && !isTooOld(found)) ?? null;
}

/** @returns {BuildError} what to throw where {@link findLibtorch} gave null. */
export function noLibtorch() {
  return new BuildError({
    what: "libtorch was not found",
    why: `neither CROSSBLOCK_LIBTORCH, nor the active python3, nor the system has version ${OLDEST.join(".")} or newer`,
    next: libtorchHint(),
  });
}
