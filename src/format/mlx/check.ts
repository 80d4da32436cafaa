import { isDeepStrictEqual } from "node:util";
import { CrossblockError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { signedRows, signedWeightHash, type WeightHash } from "../bits/weight-hash.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { readSound } from "../contract/output-tensors.js";
import type { TensorCheck } from "../contract/tensor-check.js";
import { olderMembers } from "./config/older-members.js";
import { parseSchemes, quantizationMember, schemeOf } from "./config/quantization.js";
import { type AffineWeight, zeroPointsOf } from "./decode.js";
import { blockSize, type ScaleChoice, scaleType } from "./layout.js";
import { relativeLoss, rounded } from "./loss.js";
import type { MlxFolder } from "./read.js";
import { storedAsMlx } from "./stored-as-mlx.js";

type Verdict = Pick<TensorCheck, "status" | "detail" | "hash" | "relativeError">;

/** Compares a folder with the result that it was written from, by the decoder and not by the encoder. */
export async function* checkMlx(
  folder: MlxFolder,
  result: ExportSource,
  choice: ScaleChoice,
): AsyncGenerator<TensorCheck, void, undefined> {
  const { source, origin } = storedAsMlx(result);
  yield { name: "config.json", source: null, ...compareConfigs(folder, source) };
  for (const [name, layout] of source.linears) {
    yield await judged(name, origin(name) ?? name, () => compareModule(folder, source, name, layout, choice));
  }
  for (const name of source.plain.keys()) {
    yield await judged(name, origin(name) ?? name, () => comparePlain(folder, source, name));
  }
  for (const name of [...folder.modules.keys(), ...folder.plain.keys()]) {
    if (!source.linears.has(name) && !source.plain.has(name)) yield { name, source: null, status: "unexpected" };
  }
}

/** What the model is, and which scheme every module of the result has. */
function compareConfigs(folder: MlxFolder, source: ExportSource): Verdict {
  const { quantization: _, crossblock: _ours, ...own } = source.config;
  const config = { ...own, ...olderMembers(source.config) };
  const keys = new Set([...Object.keys(folder.config), ...Object.keys(config)]);
  const differs = [...keys].find((key) => !isDeepStrictEqual(folder.config[key], config[key]));
  const show = (value: unknown): string => JSON.stringify(value) ?? "nothing";
  if (differs !== undefined) {
    return {
      status: "different",
      detail: `${differs} is ${show(folder.config[differs])} instead of ${show(config[differs])}`,
    };
  }
  const schemes = parseSchemes(quantizationMember(source), "the result");
  for (const [name, { bits, groupSize }] of folder.modules) {
    const wanted = schemeOf(name, schemes);
    if (isDeepStrictEqual(wanted, { bits, groupSize })) continue;
    return { status: "different", detail: `${name} has ${show({ bits, groupSize })} instead of ${show(wanted)}` };
  }
  return { status: "same" };
}

async function judged(name: string, source: string, compare: () => Promise<Verdict>): Promise<TensorCheck> {
  try {
    return { name, source, ...(await compare()) };
  } catch (error) {
    if (!(error instanceof CrossblockError)) throw error;
    const where = error.where === undefined || error.where === name ? "" : `${error.where}: `;
    return { name, source, status: "different", detail: `${where}${error.what}` };
  }
}

async function compareModule(
  folder: MlxFolder,
  source: ExportSource,
  name: string,
  layout: QuantizedLayout,
  choice: ScaleChoice,
): Promise<Verdict> {
  const module = folder.modules.get(name);
  if (module === undefined) return { status: "missing" };
  const type = scaleType(layout, choice);
  const facts = [
    ["bits", module.bits, layout.bits],
    ["columns in a group", module.groupSize, blockSize(layout)],
    ["rows", module.rows, layout.rows],
    ["columns", module.columns, layout.columns],
    ["as the type of the scales", module.type, type],
  ] as const;
  const differs = facts.find(([, found, wanted]) => found !== wanted);
  if (differs !== undefined)
    return { status: "different", detail: `${differs[1]} ${differs[0]} instead of ${differs[2]}` };
  const stored = await folder.readAffine(name);
  const weight = await readSound(source, name, layout);
  const zeroPoints = zeroPointsOf(stored);
  const hash = zeroPoints === null ? undefined : affineHash(stored, zeroPoints, weight.groupSize);
  const known = hash === undefined ? {} : { hash };
  const detail = codeDifference(stored, weight);
  if (detail !== null) return { status: "different", detail, ...known };
  const exact = scaleDifference(stored, weight, (value) => value);
  if (exact === null) return { status: "same", ...known };
  const loss = scaleDifference(stored, weight, (value) => rounded(value, type));
  return loss === null
    ? { status: "lossy", relativeError: relativeLoss(weight, type) }
    : { status: "different", detail: loss, ...known };
}

function codeDifference(stored: AffineWeight, { codes, columns }: QuantizedWeight): string | null {
  if (Buffer.compare(stored.codes, codes) === 0) return null;
  const e = codes.findIndex((code, i) => code !== stored.codes[i]);
  const place = `row ${Math.floor(e / columns)}, column ${e % columns}`;
  return `code ${stored.codes[e]} instead of ${codes[e]} at ${place}`;
}

function scaleDifference(
  { scales, biases, groupSize, columns }: AffineWeight,
  weight: QuantizedWeight,
  round: (value: number) => number,
): string | null {
  const times = weight.groupSize / groupSize;
  const perRow = columns / groupSize;
  for (let i = 0; i < scales.length; i++) {
    const group = Math.floor(i / times);
    const scale = weight.scales[group] ?? Number.NaN;
    const place = `row ${Math.floor(i / perRow)}, column ${(i % perRow) * groupSize}`;
    if (scales[i] !== round(scale)) return `scale ${scales[i]} instead of ${round(scale)} at ${place}`;
    const bias = round(-scale * (weight.zeroPoints[group] ?? 0)) + 0;
    if (biases[i] !== bias) return `bias ${biases[i]} instead of ${bias} at ${place}`;
  }
  return null;
}

/** The hash of what the file holds, regrouped as the result is; the first block of a group speaks for its scale. */
function affineHash(stored: AffineWeight, zeroPoints: Uint8Array, groupSize: number): WeightHash {
  const { rows, columns, codes, scales } = stored;
  const times = groupSize / stored.groupSize;
  return signedWeightHash({
    rows,
    columns,
    scales: Float32Array.from({ length: scales.length / times }, (_, i) => scales[i * times] ?? Number.NaN),
    row: signedRows({ columns, groupSize: stored.groupSize, codes, zeroPoints }),
  });
}

async function comparePlain(folder: MlxFolder, source: ExportSource, name: string): Promise<Verdict> {
  const [found, expected] = [folder.plain.get(name), source.plain.get(name)];
  if (found === undefined || expected === undefined) return { status: "missing" };
  const describe = ({ dtype, shape }: typeof found): string => `${dtype} [${shape.join(", ")}]`;
  if (describe(found) !== describe(expected)) {
    return { status: "different", detail: `${describe(found)} instead of ${describe(expected)}` };
  }
  const same = Buffer.compare(await folder.readPlain(name), await source.readPlain(name)) === 0;
  return same ? { status: "same" } : { status: "different", detail: "its bytes are others" };
}
