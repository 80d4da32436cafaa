import type { MachineReport } from "../run/machine/machine-report.js";
import { formatBytes } from "./quantities.js";

/** The report of `crossblock doctor` for a reader: facts first, then each problem with its remedy. */
export function formatMachine(report: MachineReport): string {
  const { cpu, libtorch, engine } = report;
  const rows: (readonly [string, string])[] = [
    ["system", report.platform],
    ["node", `${report.node.version} (${report.node.path})`],
    ["processor", `${cpu.model}, ${cpu.processors} usable, ${cpu.features.join(" ") || "no vector features known"}`],
    [
      "libtorch",
      libtorch === null
        ? "not found"
        : `${libtorch.version} (${libtorch.path}, ${libtorch.source})${libtorch.cuda ? ", with CUDA" : ""}`,
    ],
    ["compiler", report.compiler ?? "not found"],
    ["addon", `${report.addon.path ?? "no place for it"}${report.addon.compiled ? "" : " (not compiled)"}`],
    ...(engine === null
      ? []
      : ([
          ["threads", String(engine.threads)],
          ["vector code", engine.capability],
          ["BLAS", `${engine.blas.name}${engine.blas.path === null ? "" : ` (${engine.blas.path})`}`],
        ] as const)),
    ...report.devices.map(
      ({ device, name, totalBytes, freeBytes }) =>
        ["device", `${device}: ${name}, ${formatBytes(freeBytes)} free of ${formatBytes(totalBytes)}`] as const,
    ),
    ...report.disk.map(({ folder, freeBytes }) => ["disk", `${folder}: ${formatBytes(freeBytes)} free`] as const),
  ];
  const problems = report.problems.map(
    ({ severity, what, next }) => `${severity === "error" ? "ERROR" : "warning"}: ${what}\n  next: ${next}`,
  );
  return [
    ...rows.map(([name, value]) => `${`${name}:`.padEnd(13)}${value}`),
    "",
    ...(problems.length === 0 ? ["everything is in order"] : problems),
    "",
  ].join("\n");
}
