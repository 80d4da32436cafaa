import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

const PROCESSORS = "/sys/devices/system/cpu";

/**
 * How many threads one operator should use on the CPU: as many as there are cores, unless the user says otherwise
 * through OpenMP's own variables, which libtorch reads itself (then the result is null).
 *
 * libtorch 1.13 counts the cores of some virtual machines wrongly: it used one of two.
 */
export function defaultThreads(env: NodeJS.ProcessEnv = process.env): number | null {
  if (env["OMP_NUM_THREADS"] || env["MKL_NUM_THREADS"]) return null;
  return Math.max(1, Math.min(coreCount() ?? Number.POSITIVE_INFINITY, availableParallelism()));
}

/** Cores, not their hyper-threads: two threads of one core would wait for the same multipliers. */
function coreCount(): number | null {
  try {
    const processors = readdirSync(PROCESSORS).filter((name) => /^cpu\d+$/.test(name));
    const cores = new Set(
      processors.map((name) => readFileSync(`${PROCESSORS}/${name}/topology/thread_siblings_list`, "utf8")),
    );
    return cores.size === 0 ? null : cores.size;
  } catch {
    return null; // not Linux, or a processor that is switched off
  }
}
