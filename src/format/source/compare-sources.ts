import { isDeepStrictEqual } from "node:util";
import { CrossblockError } from "../../errors.js";
import { firstDifference } from "../bits/first-difference.js";
import { weightHash } from "../bits/weight-hash.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import type { TensorCheck } from "../contract/tensor-check.js";

/**
 * Compares an export that keeps codes, scales and zero points as they are with the result it was written from: every
 * quantized Linear by its integers, every other tensor byte for byte, and the configuration of the model.
 */
export async function* compareSources(
  stored: ExportSource,
  result: ExportSource,
): AsyncGenerator<TensorCheck, void, undefined> {
  yield { name: "config.json", source: null, ...compareConfigs(stored, result) };
  for (const [name, layout] of result.linears)
    yield await judged(name, () => compareLinear(stored, result, name, layout));
  for (const name of result.plain.keys()) yield await judged(name, () => comparePlain(stored, result, name));
  for (const name of stored.linears.keys()) {
    if (!result.linears.has(name)) yield { name, source: null, status: "unexpected" };
  }
  for (const name of stored.plain.keys()) {
    if (!result.plain.has(name)) yield { name, source: null, status: "unexpected" };
  }
}

/** What the model is, and how its inputs are quantized; how its weights are is seen at every Linear. */
function compareConfigs(stored: ExportSource, result: ExportSource): Verdict {
  const keys = new Set([...Object.keys(stored.config), ...Object.keys(result.config)]);
  const differs = [...keys].find((key) => !isDeepStrictEqual(stored.config[key], result.config[key]));
  const show = (value: unknown): string => JSON.stringify(value) ?? "nothing";
  if (differs !== undefined) {
    const detail = `${differs} is ${show(stored.config[differs])} instead of ${show(result.config[differs])}`;
    return { status: "different", detail };
  }
  if (isDeepStrictEqual(stored.activations, result.activations)) return { status: "same" };
  return {
    status: "different",
    detail: `activations ${show(stored.activations)} instead of ${show(result.activations)}`,
  };
}

type Verdict = Pick<TensorCheck, "status" | "detail" | "hash">;

async function judged(name: string, compare: () => Promise<Verdict>): Promise<TensorCheck> {
  try {
    return { name, source: name, ...(await compare()) };
  } catch (error) {
    if (!(error instanceof CrossblockError)) throw error;
    const where = error.where === undefined || error.where === name ? "" : `${error.where}: `;
    return { name, source: name, status: "different", detail: `${where}${error.what}` };
  }
}

async function compareLinear(
  stored: ExportSource,
  result: ExportSource,
  name: string,
  layout: QuantizedLayout,
): Promise<Verdict> {
  const found = stored.linears.get(name);
  if (found === undefined) return { status: "missing" };
  if (found.rows !== layout.rows || found.columns !== layout.columns) {
    return {
      status: "different",
      detail: `${found.rows} x ${found.columns} weights instead of ${layout.rows} x ${layout.columns}`,
    };
  }
  const weight = await stored.readQuantized(name);
  const detail =
    firstDifference(weight, await result.readQuantized(name)) ?? inputScaleDifference(stored, result, name);
  const hash = weightHash(weight);
  return detail === null ? { status: "same", hash } : { status: "different", detail, hash };
}

function inputScaleDifference(stored: ExportSource, result: ExportSource, name: string): string | null {
  const [found, expected] = [stored.inputScales.get(name), result.inputScales.get(name)];
  if (found !== expected) return `input scale ${found ?? "none"} instead of ${expected ?? "none"}`;
  const [zero, expectedZero] = [stored.inputZeroPoints?.get(name), result.inputZeroPoints?.get(name)];
  return zero === expectedZero ? null : `input zero point ${zero ?? "none"} instead of ${expectedZero ?? "none"}`;
}

async function comparePlain(stored: ExportSource, result: ExportSource, name: string): Promise<Verdict> {
  const [found, expected] = [stored.plain.get(name), result.plain.get(name)];
  if (found === undefined || expected === undefined) return { status: "missing" };
  const describe = ({ dtype, shape }: typeof found): string => `${dtype} [${shape.join(", ")}]`;
  if (describe(found) !== describe(expected)) {
    return { status: "different", detail: `${describe(found)} instead of ${describe(expected)}` };
  }
  const bytes = await stored.readPlain(name);
  const at = differingByte(bytes, await result.readPlain(name));
  return at < 0 ? { status: "same" } : { status: "different", detail: `byte ${at} of the tensor differs` };
}

/** Index of the first byte that differs, -1 when none does. */
function differingByte(bytes: Uint8Array, expected: Uint8Array): number {
  if (Buffer.compare(bytes, expected) === 0) return -1;
  const at = bytes.findIndex((byte, i) => byte !== expected[i]);
  return at < 0 ? bytes.length : at;
}
