import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What wheels leave out of the CUDA headers. */
const HOST_HEADERS = join(dirname(dirname(fileURLToPath(import.meta.url))), "cuda", "host-headers");

/**
 * The headers of the CUDA runtime: of a toolkit, or of the packages that PyTorch's wheels bring along. Without them the
 * addon works on GPUs too, with libtorch's operators alone.
 * @param {import("./build.mjs").Libtorch} libtorch
 */
function cudaHeaders(libtorch) {
  if (!libtorch.cuda) return undefined;
  const wheels = join(libtorch.root, "..", "nvidia");
  return ["/usr/local/cuda/include", join(wheels, "cu13", "include"), join(wheels, "cuda_runtime", "include")].find(
    (folder) => existsSync(join(folder, "cuda_runtime_api.h")),
  );
}

/**
 * Every flag that depends on libtorch and the processor's kind only, not on the compiler: part of the addon's cache key.
 * @param {import("./build.mjs").Libtorch} libtorch
 */
export function compileFlags(libtorch) {
  return [...commonFlags(libtorch), ...libtorchFlags(libtorch), ...kernelVariants().flatMap(({ flags }) => flags)];
}

/** @param {import("./build.mjs").Libtorch} libtorch */
export function commonFlags(libtorch) {
  const aten = readFileSync(join(libtorch.includes[0], "ATen/ATen.h"), "utf8");
  return [`-std=${aten.includes("C++20 or later") ? "c++20" : "c++17"}`, "-O3", "-fPIC", "-fvisibility=hidden"];
}

/**
 * The kernels are compiled once per instruction set; the addon picks at run time. -fno-trapping-math lets the compiler
 * turn a comparison into a vector's mask; results don't depend on it.
 */
export function kernelVariants() {
  const common = ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fopenmp-simd"];
  const variant = (/** @type {string} */ name, /** @type {string[]} */ flags) => ({
    name,
    flags: [...common, ...flags, `-DCROSSBLOCK_ISA=${name}`],
  });
  if (process.arch !== "x64") return [variant("baseline", [])];
  return [
    variant("baseline", []),
    variant("avx2", ["-mavx2", "-mfma"]),
    variant("avx512", ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]),
  ];
}

/** @param {import("./build.mjs").Libtorch} libtorch */
export function libtorchFlags(libtorch) {
  // Wheels up to 2.5 were built with the C++ ABI from before C++11; c10::Error's constructor shows which one it is.
  const c10 = ["libc10.so", "libc10.dylib"].map((name) => join(libtorch.libraryFolder, name)).find(existsSync);
  const oldAbi = c10 !== undefined && readFileSync(c10).includes("SourceLocationESs");
  const cuda = cudaHeaders(libtorch);
  const includes = libtorch.includes.filter((folder) => folder !== "/usr/include"); // a default: naming it breaks include_next
  return [
    "-DNAPI_CPP_EXCEPTIONS",
    `-D_GLIBCXX_USE_CXX11_ABI=${oldAbi ? 0 : 1}`,
    ...includes.flatMap((folder) => ["-isystem", folder]),
    ...(cuda === undefined ? [] : ["-isystem", cuda, "-idirafter", HOST_HEADERS, "-DCROSSBLOCK_CUDA"]),
  ];
}

/** @param {import("./build.mjs").Libtorch} libtorch */
export function linkFlags(libtorch) {
  const libraries = ["-ltorch", "-ltorch_cpu", "-lc10", ...(libtorch.cuda ? ["-ltorch_cuda", "-lc10_cuda"] : [])];
  const common = [`-L${libtorch.libraryFolder}`, `-Wl,-rpath,${libtorch.libraryFolder}`];
  return process.platform === "darwin"
    ? ["-shared", "-undefined", "dynamic_lookup", ...common, ...libraries]
    : ["-shared", ...common, "-Wl,--no-as-needed", ...libraries];
}

/**
 * OpenMP must come from the runtime that libtorch itself loads: two of them in one process oversubscribe the cores.
 * clang writes calls to LLVM's runtime only, which that of GNU doesn't answer; there the kernels run in one thread.
 * @param {import("./build.mjs").Libtorch} libtorch
 * @param {boolean} gnu
 * @returns {{ compile: string[], link: string[] }}
 */
export function openMpFlags(libtorch, gnu) {
  const own = readdirSync(libtorch.libraryFolder).find((name) => /^lib(gomp|omp|iomp5)\b.*\.(so|dylib)/.test(name));
  const runtime = libtorch.source === "system" || own === undefined ? undefined : join(libtorch.libraryFolder, own);
  if (gnu) return { compile: ["-fopenmp"], link: [runtime ?? "-fopenmp"] };
  return runtime !== undefined && !/libgomp/.test(runtime)
    ? { compile: ["-Xclang", "-fopenmp"], link: [runtime] }
    : { compile: [], link: [] };
}
