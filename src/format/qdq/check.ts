import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { weightHash } from "../bits/weight-hash.js";
import type { ExportSource } from "../contract/export-source.js";
import { type InputGrid, isKeyed } from "../contract/input-grid.js";
import { readSound } from "../contract/output-tensors.js";
import type { TensorCheck } from "../contract/tensor-check.js";
import { diffGraph } from "./diff/diff-graph.js";
import type { SmallCodes } from "./layer-form.js";
import { graphResult, type PlannedLayer, planQdq } from "./plan.js";
import type { QdqFile } from "./read.js";

/** Compares a file with the result that it was written from, by the decoder, and with the source graph. */
export async function* checkQdq(
  file: QdqFile,
  source: ExportSource,
  codes: SmallCodes,
): AsyncGenerator<TensorCheck, void, undefined> {
  const result = graphResult(source);
  const plan = planQdq(source, codes);
  yield* diffGraph(file, result, plan);
  for (const planned of plan.layers) yield await checkLayer(file, planned, source);
  const modules = new Set(source.linears.keys());
  for (const name of file.layers.keys()) if (!modules.has(name)) yield { name, source: null, status: "unexpected" };
}

async function checkLayer(
  file: QdqFile,
  { layer, layout, grid }: PlannedLayer,
  source: ExportSource,
): Promise<TensorCheck> {
  const { module } = layer.plan;
  const facts = { name: module, source: module };
  const found = file.layers.get(module);
  if (found === undefined) return { ...facts, status: "missing" };
  const differs = (["rows", "columns", "bits", "groupSize", "symmetric"] as const).find(
    (key) => found.layout[key] !== layout[key],
  );
  if (differs !== undefined) {
    return {
      ...facts,
      status: "different",
      detail: `${differs} ${found.layout[differs]} instead of ${layout[differs]}`,
    };
  }
  const input = gridDifference(found.input?.grid ?? null, grid);
  if (input !== null) return { ...facts, status: "different", detail: input };
  const ours = await readSound(source, module, layout);
  try {
    const stored = file.readQuantized(module);
    const detail = difference(stored, ours);
    const hash = weightHash(stored);
    return detail === null ? { ...facts, status: "same", hash } : { ...facts, status: "different", detail, hash };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { ...facts, status: "different", detail: error.what };
  }
}

function difference(stored: QuantizedWeight, ours: QuantizedWeight): string | null {
  const { columns, groupSize } = ours;
  for (const [key, what, width] of [
    ["codes", "code", columns],
    ["scales", "scale", columns / groupSize],
    ["zeroPoints", "zero point", columns / groupSize],
  ] as const) {
    for (let i = 0; i < ours[key].length; i++) {
      if (stored[key][i] === ours[key][i]) continue;
      const place = `row ${Math.floor(i / width)}, ${key === "codes" ? "column" : "group"} ${i % width}`;
      return `${what} ${stored[key][i]} instead of ${ours[key][i]} at ${place}`;
    }
  }
  return null;
}

/** What differs between the grids of an input; steps are compared as fp32 has them. */
function gridDifference(stored: InputGrid | null, ours: InputGrid | null): string | null {
  const [a, b] = [stored, ours].map((grid) => JSON.stringify(grid === null ? null : gridFacts(grid)));
  return a === b ? null : `its input is quantized by ${a} instead of ${b}`;
}

function gridFacts(grid: InputGrid): unknown {
  const { bits } = grid;
  if (!isKeyed(grid)) return { bits, scale: Math.fround(grid.scale), zeroPoint: grid.zeroPoint };
  const steps = grid.keys
    .map((key, i) => [Math.fround(key), Math.fround(grid.scales[i] ?? 0), grid.zeroPoints[i] ?? 0] as const)
    .sort(([x], [y]) => x - y);
  return { bits, input: grid.input, unknown: grid.unknown, steps };
}
