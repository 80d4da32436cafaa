import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import type { TensorCheck } from "../../src/format/contract/tensor-check.js";
import { checkOnnx } from "../../src/format/onnx/check.js";
import type { OnnxPlanOptions } from "../../src/format/onnx/plan.js";
import { OnnxFile } from "../../src/format/onnx/read.js";
import { firstLayers } from "./first-layers.js";
import type { RtnScheme } from "./rtn-source.js";

export const model = "models/sotu-llama-7m";
let scratch = "";

/** Gives the tests of a file, which calls this first, a scratch folder. */
export function useOnnxScratch(): void {
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), "crossblock-onnx-"));
  });

  afterAll(() => {
    rmSync(scratch, { recursive: true, force: true });
  });
}

export const smallSource = (schemeOf: (name: string) => RtnScheme | null): Promise<ExportSource & Disposable> =>
  firstLayers(model, 1, schemeOf);

export const everywhere =
  (bits: number, group: number | null, symmetric = true): ((name: string) => RtnScheme) =>
  () => ({ bits, group, symmetric });

export const outFolder = (): string => mkdtempSync(join(scratch, "out-"));

export async function verdicts(file: string, source: ExportSource, options?: OnnxPlanOptions): Promise<TensorCheck[]> {
  using opened = OnnxFile.open(file);
  const checks: TensorCheck[] = [];
  for await (const check of checkOnnx(opened, source, options)) checks.push(check);
  return checks;
}
