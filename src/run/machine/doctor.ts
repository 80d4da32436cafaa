import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { availableParallelism, cpus, release, tmpdir, totalmem } from "node:os";
import { dirname } from "node:path";
import {
  addonPath,
  aptCommand,
  cacheFolder,
  compilerHint,
  findCompiler,
  findLibtorch,
  type Libtorch,
  libtorchHint,
  usesApt,
} from "../../../native/build/build.mjs";
import { type EngineInfo, engineInfo } from "../../tensor/index.js";
import { blasInUse } from "./blas.js";
import { cpuCapability } from "./cpu-capability.js";
import { cpuFeatures } from "./cpu-features.js";
import type { MachineDevice, MachineProblem, MachineReport } from "./machine-report.js";
import { readSystemFile } from "./system-file.js";

const OLDEST_NODE = [20, 19] as const;
const GIB = 2 ** 30;
/** The demo model is quantized in 1 GiB; every real one needs more. */
const SMALLEST_MEMORY = 2 * GIB;
const SMALLEST_DISK = GIB;

type Report = (severity: MachineProblem["severity"], what: string, next: string) => void;

/**
 * Looks at everything that crossblock needs: Node, libtorch, compiler, addon, devices, BLAS, memory, disk.
 * Compiles the addon if that was not done yet. Never throws for what is missing: that becomes a problem with a remedy.
 */
export async function inspectMachine(): Promise<MachineReport> {
  const problems: MachineProblem[] = [];
  const problem: Report = (severity, what, next) => {
    problems.push({ severity, what, next });
  };
  checkNode(problem);
  const libtorch = attempt(findLibtorch, problem);
  if (libtorch === null) problem("error", "libtorch 1.13 or newer was not found", libtorchHint());
  const compiler = findCompiler();
  const path = libtorch ? addonPath(libtorch) : null;
  if (compiler === null && path !== null && !existsSync(path)) {
    problem("error", "there is no C++ compiler, and the native addon is not compiled yet", compilerHint());
  }
  const usable = path !== null && (compiler !== null || existsSync(path));
  const engine = usable ? (attempt(engineInfo, problem) ?? null) : null;
  const blas = engine === null ? null : blasInUse(engine.config, await readSystemFile("/proc/self/maps"));
  const cpuinfo = await readSystemFile("/proc/cpuinfo");
  const cpu = {
    model: cpus()[0]?.model.trim() ?? "unknown",
    processors: availableParallelism(),
    features: cpuFeatures(cpuinfo),
  };
  if (cpuinfo !== "" && process.arch === "x64" && !cpu.features.includes("AVX2")) {
    problem("warning", "this CPU has no AVX2: crossblock will be slow", "use a machine with a newer CPU, or a GPU");
  }
  if (blas?.name === "reference") {
    const next = usesApt() ? `run "${aptCommand(["libopenblas0-pthread"])}"` : "install OpenBLAS as the system's BLAS";
    problem("warning", `matrices are multiplied by the slow reference BLAS (${blas.path})`, next);
  }
  // Without these variables the engine takes all cores, which with hyper-threading is half of the processors.
  const limit = process.env["OMP_NUM_THREADS"] || process.env["MKL_NUM_THREADS"];
  if (engine !== null && limit && engine.threads < cpu.processors / 2) {
    const next = "unset OMP_NUM_THREADS and MKL_NUM_THREADS, or set them to the number of cores";
    problem("warning", `libtorch uses ${engine.threads} of ${cpu.processors} processors`, next);
  }
  if (libtorch) checkGpu(libtorch, engine, problem);
  const memory: MachineDevice = {
    device: "cpu",
    name: cpu.model,
    totalBytes: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
    freeBytes: process.availableMemory(),
  };
  if (memory.freeBytes < SMALLEST_MEMORY) {
    problem(
      "warning",
      `only ${gib(memory.freeBytes)} of memory are free`,
      "close other programs, or use a larger machine",
    );
  }
  return {
    event: "doctor",
    platform: `${process.platform} ${process.arch}, ${await systemName()}`,
    node: { version: process.versions.node, path: process.execPath },
    cpu,
    libtorch: libtorch
      ? { version: libtorch.version, path: libtorch.root, source: libtorch.source, cuda: libtorch.cuda }
      : null,
    compiler: compiler === null ? null : [compiler.path, ...compiler.args].join(" "),
    addon: { path, compiled: engine !== null },
    engine:
      engine === null || blas === null
        ? null
        : { threads: engine.threads, capability: cpuCapability(engine.config), blas },
    devices: [memory, ...(engine?.devices ?? [])],
    disk: await freeDisk(problem),
    problems,
  };
}

/** Runs `action`; what it throws becomes a problem, and the result undefined. */
function attempt<T>(action: () => T, problem: Report): T | undefined {
  try {
    return action();
  } catch (error) {
    const { what, where, why, next, message } = error as Partial<
      Record<"what" | "where" | "why" | "next" | "message", string>
    >;
    const place = where === undefined ? "" : `${where}: `;
    const reason = why === undefined ? "" : ` (${why})`;
    problem("error", `${place}${what ?? message ?? String(error)}${reason}`, next ?? "run the same command again");
    return undefined;
  }
}

function checkNode(problem: Report): void {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    const next = `install Node ${OLDEST_NODE.join(".")} or newer (https://nodejs.org/en/download)`;
    problem("error", `Node ${process.versions.node} is too old`, next);
  }
}

/** Finds a GPU that the driver shows and libtorch does not use. */
function checkGpu(libtorch: Libtorch, engine: EngineInfo | null, problem: Report): void {
  const driver = existsSync("/proc/driver/nvidia/version");
  if (!driver || engine === null || engine.devices.length > 0) return;
  if (libtorch.cuda) {
    const next = 'run "nvidia-smi" to see what the driver says, and install a torch whose CUDA version it supports';
    problem("warning", `libtorch ${libtorch.version} finds no CUDA device although an NVIDIA driver is loaded`, next);
  } else {
    const next = 'run "python3 -m pip install torch" in the active Python: that one has CUDA';
    problem(
      "warning",
      `libtorch ${libtorch.version} was built without CUDA, and this machine has an NVIDIA driver`,
      next,
    );
  }
}

/** @returns the free space where results and where addons are written */
async function freeDisk(problem: Report): Promise<MachineReport["disk"]> {
  const disk: { folder: string; freeBytes: number }[] = [];
  for (const folder of new Set([process.cwd(), existing(cacheFolder()), tmpdir()])) {
    const { bavail, bsize } = await statfs(folder);
    const freeBytes = bavail * bsize;
    disk.push({ folder, freeBytes });
    if (freeBytes < SMALLEST_DISK) {
      problem(
        "warning",
        `only ${gib(freeBytes)} of disk are free in ${folder}`,
        "remove files there, or work in another folder",
      );
    }
  }
  return disk;
}

/** @returns `folder`, or its nearest parent that exists */
function existing(folder: string): string {
  return existsSync(folder) ? folder : existing(dirname(folder));
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

async function systemName(): Promise<string> {
  const text = await readSystemFile("/etc/os-release");
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? `kernel ${release()}`;
}
