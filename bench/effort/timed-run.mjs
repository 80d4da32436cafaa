// A command of crossblock in a process of its own: its events, and what it took of the clock and of the processors.
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { engineInfo } from "../../dist/tensor/index.js";

/**
 * @param {string} entry the command line's main file @param {readonly string[]} args
 * @returns {{ events: any[], seconds: number, cpuSeconds: number }}
 */
export function timedRun(entry, args) {
  const started = performance.now();
  // Bash's own `time`, which needs no package, writes to the last line of standard error.
  const script = 'TIMEFORMAT="cpu %U %S"; time "$@"';
  const { status, stdout, stderr } = spawnSync(
    "bash",
    ["-c", script, "bash", process.execPath, entry, ...args, "--json"],
    {
      encoding: "utf8",
      maxBuffer: 1 << 28,
      env: { ...process.env, LC_ALL: "C" },
    },
  );
  if (status !== 0) throw new Error(`crossblock ${args.join(" ")}: ${stderr.slice(-2000)}`);
  const seconds = (performance.now() - started) / 1000;
  const [, user = "0", system = "0"] = /cpu ([\d.]+) ([\d.]+)\s*$/.exec(stderr) ?? [];
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { events, seconds, cpuSeconds: Number(user) + Number(system) };
}

/** @param {string} device @returns {string} the machine, as a table's paragraph names it */
export function machineName(device) {
  const { torchVersion, devices } = engineInfo();
  const gpu = devices.find((entry) => entry.device === device)?.name;
  const host = `${cpus().length} cores of ${cpus()[0]?.model.trim() ?? "an unknown processor"}`;
  return `${gpu === undefined ? host : `one ${gpu}`}, libtorch ${torchVersion}`;
}
