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

/**
 * Lets the threads of OpenMP and OpenBLAS sleep while they wait for each other, unless the user says otherwise. By default they spin, and
 * on a machine that is busy otherwise each of the many small operators then waits for a time slice: a run of 9 s took
 * 126. Sleeping costs about 15 us an operator that uses threads. OpenBLAS has threads of its own, which would yield the
 * processor over and over for 30 ms after every product while OpenMP's threads want it: a step took 370 ms where it
 * takes 260 when they sleep after half of one (2^20 cycles).
 *
 * To be called in the main thread, before libtorch is loaded anywhere: OpenMP reads the variables of the process once,
 * and a worker's `process.env` is only a copy of them.
 */
export function letThreadsSleep(env: NodeJS.ProcessEnv = process.env): void {
  if (!env["GOMP_SPINCOUNT"]) env["OMP_WAIT_POLICY"] ||= "PASSIVE";
  env["OPENBLAS_THREAD_TIMEOUT"] ||= "20";
}
