import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import type { TensorCheck } from "../../src/format/contract/tensor-check.js";
import { checkOnnx } from "../../src/format/onnx/check.js";
import type { OnnxPlanOptions } from "../../src/format/onnx/plan.js";
import { OnnxFile } from "../../src/format/onnx/read.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";
import { type RtnScheme, rtnSource } from "./rtn-source.js";

export const model = "models/sotu-llama-7m";
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-onnx-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** The model's first layer, rounded once: enough to meet every kind of tensor, and fast. */
export async function smallSource(schemeOf: (name: string) => RtnScheme | null): Promise<ExportSource & Disposable> {
  const whole = await rtnSource(model, { schemeOf });
  const kept = ([name]: readonly [string, unknown]): boolean => !/\.layers\.[1-9]\./.test(name);
  const weights = new Map<string, Promise<QuantizedWeight>>();
  return {
    ...whole,
    config: { ...whole.config, num_hidden_layers: 1 },
    linears: new Map([...whole.linears].filter(kept)),
    plain: new Map([...whole.plain].filter(kept)),
    readQuantized(name) {
      const weight = weights.get(name) ?? whole.readQuantized(name);
      weights.set(name, weight);
      return weight;
    },
    [Symbol.dispose]: () => whole[Symbol.dispose](),
  };
}

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
