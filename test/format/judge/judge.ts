import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { writeSafetensors } from "../../../src/checkpoint/safetensors/write-safetensors.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import { dequantized } from "../rtn-source.js";

/** A Python outside the repository with the packages that `bench/judge/README.md` lists. */
export const judgePython = process.env["CROSSBLOCK_JUDGE_PYTHON"] ?? "/opt/judge/bin/python";

/** The one with mlx-lm, whose requirements may contradict those of the others. */
export const mlxPython = process.env["CROSSBLOCK_JUDGE_MLX_PYTHON"] ?? judgePython;

/** Why the judge can't run, as part of a test's title; empty when it can. */
export function missingPackage(name: string, python: string = judgePython): string {
  const code = `import importlib.util, sys; sys.exit(importlib.util.find_spec("${name}") is None)`;
  const found = spawnSync(python, ["-c", code]).status === 0;
  return found ? "" : ` (skipped: no Python with ${name} at ${python}; bench/judge/README.md says how to get one)`;
}

/** Writes the weights that our decoder sees in a folder; returns the file. */
export async function writeDecoded(source: ExportSource, folder: string): Promise<string> {
  const tensors = [...source.linears].map(([name, { rows, columns }]) => ({
    name: `${name}.weight`,
    dtype: "F32" as const,
    shape: [rows, columns],
    byteLength: rows * columns * 4,
    bytes: async () => new Uint8Array(dequantized(await source.readQuantized(name)).buffer),
  }));
  await writeSafetensors(folder, tensors);
  return join(folder, "model.safetensors");
}

/** Runs a judge on pairs of folder and expected weights: the JSON lines that it prints, and its standard error. */
export function runJudge(
  script: string,
  pairs: readonly string[],
): { results: unknown[]; log: string; status: number } {
  const { stdout, stderr, status } = spawnSync(judgePython, [`bench/judge/${script}`, ...pairs], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    env: { ...process.env, OMP_NUM_THREADS: "1" },
  });
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  const results = lines.map((line): unknown => JSON.parse(line));
  return { results, log: stderr.slice(-2000), status: status ?? -1 };
}
