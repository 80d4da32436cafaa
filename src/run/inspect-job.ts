import { Checkpoint, type TensorInfo } from "../checkpoint/checkpoint.js";
import { type ModelConfig, readModelConfig } from "../checkpoint/model-config.js";
import { quantizedBits } from "../format/bits-per-weight.js";
import { isCompressedTensors, openCompressedTensors } from "../format/compressed-tensors/read.js";
import type { QuantizedLayout } from "../format/export-source.js";
import type { WorkEvent } from "./events.js";
import type { InspectedTensor, Inspection } from "./inspection.js";
import { resolveFolder } from "./resolve-folder.js";
import { parseResultRecord } from "./result-file.js";
import type { RequestContext } from "./serve-requests.js";

/** Reads what a folder holds; codes are counted one Linear at a time. */
export async function inspectJob(nameOrFolder: string, context: RequestContext<WorkEvent>): Promise<Inspection> {
  const folder = await resolveFolder(nameOrFolder, context);
  const config = await readModelConfig(folder);
  if (isCompressedTensors(config)) return inspectResult(folder, context);
  using checkpoint = await Checkpoint.open(folder);
  const tensors = [...checkpoint.tensors.values()].map(plainTensor);
  return inspection(folder, "safetensors", config, null, tensors);
}

async function inspectResult(folder: string, { emit, poll }: RequestContext<WorkEvent>): Promise<Inspection> {
  using result = await openCompressedTensors(folder);
  const tensors: InspectedTensor[] = [...result.plain.values()].map(plainTensor);
  const total = result.linears.size;
  let done = 0;
  for (const [name, layout] of result.linears) {
    poll();
    const { codes } = await result.readQuantized(name);
    const histogram = new Array<number>(2 ** layout.bits).fill(0);
    for (const code of codes) histogram[code] = (histogram[code] ?? 0) + 1;
    tensors.push(quantizedTensor(name, layout, histogram));
    emit({ event: "progress", stage: "counting codes", done: ++done, total });
  }
  const record = result.record === null ? null : parseResultRecord(result.record, folder);
  tensors.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const schemes = new Set(tensors.filter(({ histogram }) => histogram !== null).map(({ type }) => type));
  return inspection(folder, "compressed-tensors", result.config, record?.scheme ?? [...schemes].join(", "), tensors);
}

function plainTensor({ name, shape, dtype, byteLength }: TensorInfo): InspectedTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return {
    name,
    shape,
    type: dtype,
    bytes: byteLength,
    bitsPerWeight: count === 0 ? 0 : (byteLength * 8) / count,
    histogram: null,
  };
}

function quantizedTensor(name: string, layout: QuantizedLayout, histogram: readonly number[]): InspectedTensor {
  const bits = quantizedBits(layout);
  const group = layout.perChannel ? "" : `g${layout.groupSize}`;
  return {
    name,
    shape: [layout.rows, layout.columns],
    type: `W${layout.bits}${group} ${layout.symmetric ? "sym" : "asym"}`,
    bytes: Math.ceil(bits / 8),
    bitsPerWeight: bits / (layout.rows * layout.columns),
    histogram,
  };
}

function inspection(
  folder: string,
  format: Inspection["format"],
  config: ModelConfig,
  scheme: string | null,
  tensors: readonly InspectedTensor[],
): Inspection {
  const family = config["model_type"];
  const all = totals(tensors);
  const quantized = totals(tensors.filter(({ histogram }) => histogram !== null));
  return {
    folder,
    format,
    family: typeof family === "string" ? family : "unknown",
    scheme,
    tensors,
    parameters: all.weights,
    bytes: all.bytes,
    bitsPerWeight: all.weights === 0 ? 0 : (all.bytes * 8) / all.weights,
    quantizedBitsPerWeight: quantized.weights === 0 ? null : (quantized.bytes * 8) / quantized.weights,
  };
}

function totals(tensors: readonly InspectedTensor[]): { weights: number; bytes: number } {
  return tensors.reduce(
    ({ weights, bytes }, tensor) => ({
      weights: weights + tensor.shape.reduce((product, size) => product * size, 1),
      bytes: bytes + tensor.bytes,
    }),
    { weights: 0, bytes: 0 },
  );
}
