import { spawnSync } from "node:child_process";
import { expect } from "vitest";
import { mlxPython } from "./judge.js";

/** What mlx-lm says of folders: why it does not load one, or null. Logits of the ids lie beside those that it loads, in `FOLDER-judged`. */
export function judgedByMlx(folders: readonly string[], ids: readonly number[]): ReadonlyMap<string, string | null> {
  const args = ["bench/judge/mlx_logits.py", ids.join(","), ...folders];
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const { status, stdout, stderr } = spawnSync(mlxPython, args, { encoding: "utf8", env });
  expect(status, stderr.slice(-1500)).toBe(0);
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  return new Map(
    lines.map((line) => {
      const { folder, error } = JSON.parse(line) as { folder: string; error: string | null };
      return [folder, error];
    }),
  );
}
