import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { type ModelConfig, optionalString, readModelConfig } from "../../checkpoint/model-config.js";
import { CrossblockError } from "../../errors.js";
import { openSourceWeights } from "../../format/dequantized/open-source-weights.js";
import { quantizationOf, withoutQuantization } from "../../format/dequantized/read-encoding.js";
import { exporters, type FoundExport, recogniseExport } from "../../format/exporters.js";
import { inspectGraph } from "../../format/onnx/inspect-graph.js";
import { inspectedPlain } from "../../format/source/inspect-source.js";
import { sourceCensus } from "../../format/source/source-census.js";
import type { RequestContext } from "../engine/serve-requests.js";
import { type CensusRecord, censusRecord } from "../events/census-record.js";
import type { WorkEvent } from "../events/events.js";
import type { InspectedTensor, Inspection } from "../events/inspection.js";
import { pacedProgress } from "../events/paced-progress.js";
import { resolveFolder } from "../source/resolve-folder.js";

type Facts = Pick<Inspection, "path" | "format" | "family" | "scheme" | "census" | "units">;

/** Reads what a model folder, a result or an export holds; codes are counted one tensor at a time. */
export async function inspectJob(nameOrPath: string, context: RequestContext<WorkEvent>): Promise<Inspection> {
  // A file is no folder, and no name on the hub.
  const isFile = nameOrPath.endsWith(".gguf") || nameOrPath.endsWith(".onnx");
  const path = isFile ? nameOrPath : await resolveFolder(nameOrPath, context);
  // A graph with weights in integers is an export, whoever wrote it.
  const graph = path.endsWith(".onnx") && (await exporters.qdq.find(path)) === null ? inspectGraph(path) : null;
  if (graph !== null) {
    const { tensors, ...facts } = graph;
    return inspection({ path, format: "onnx", scheme: null, census: null, ...facts }, tensors);
  }
  const found = await recogniseExport(path);
  return found === null ? inspectModel(path) : inspectExport(found, context);
}

async function inspectModel(folder: string): Promise<Inspection> {
  const config = await readModelConfig(folder);
  using checkpoint = await Checkpoint.open(folder);
  const family = optionalString(config, "model_type") ?? "unknown";
  // As they are stored; what the network reads of them is counted as it reads it.
  const tensors = [...checkpoint.tensors.values()].map(inspectedPlain);
  const census = await censusOf(folder, config);
  return inspection({ path: folder, format: "safetensors", family, scheme: null, census, units: null }, tensors);
}

// Null for weights in codes that are not read.
async function censusOf(folder: string, config: ModelConfig): Promise<CensusRecord | null> {
  try {
    using weights = await openSourceWeights(folder, config);
    const { tensors: plain, encoding } = weights;
    const found = sourceCensus({ config: withoutQuantization(config), linears: new Map(), plain });
    return found === null ? null : censusRecord(found, [], encoding);
  } catch (error) {
    if (error instanceof CrossblockError && quantizationOf(config) !== null) return null;
    throw error;
  }
}

async function inspectExport(
  { format, path }: FoundExport,
  { emit, poll }: RequestContext<WorkEvent>,
): Promise<Inspection> {
  using opened = await exporters[format].open(path);
  const { family, scheme, tensorCount: total } = opened;
  const progress = pacedProgress(emit, "counting codes");
  const tensors: InspectedTensor[] = [];
  for await (const tensor of opened.inspect()) {
    poll();
    tensors.push(tensor);
    progress(tensors.length, total);
  }
  const coded = tensors.flatMap(({ name, histogram }) => (histogram === null ? [] : [name]));
  const census = opened.census === null ? null : censusRecord(opened.census, coded);
  return inspection({ path, format, family, scheme, census, units: null }, tensors);
}

function inspection(facts: Facts, tensors: readonly InspectedTensor[]): Inspection {
  const all = totals(tensors);
  const quantized = totals(tensors.filter(({ histogram }) => histogram !== null));
  return {
    ...facts,
    tensors,
    parameters: all.weights,
    bytes: all.bytes,
    bitsPerWeight: all.weights === 0 ? 0 : (all.bytes * 8) / all.weights,
    meanCodeBits: meanCodeBits(tensors),
    quantizedBitsPerWeight: quantized.weights === 0 ? null : (quantized.bytes * 8) / quantized.weights,
  };
}

function meanCodeBits(tensors: readonly InspectedTensor[]): number | null {
  let [bits, weights] = [0, 0];
  for (const { codeBits, shape } of tensors) {
    if (codeBits === null) continue;
    const count = shape.reduce((product, size) => product * size, 1);
    bits += count * codeBits;
    weights += count;
  }
  return weights === 0 ? null : bits / weights;
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
