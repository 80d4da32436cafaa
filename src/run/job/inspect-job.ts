import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { optionalString, readModelConfig } from "../../checkpoint/model-config.js";
import { exporters, type FoundExport, recogniseExport } from "../../format/exporters.js";
import { inspectGraph } from "../../format/onnx/inspect-graph.js";
import { inspectedPlain } from "../../format/source/inspect-source.js";
import { sourceCensus } from "../../format/source/source-census.js";
import type { RequestContext } from "../engine/serve-requests.js";
import { censusRecord } from "../events/census-record.js";
import type { WorkEvent } from "../events/events.js";
import type { InspectedTensor, Inspection } from "../events/inspection.js";
import { pacedProgress } from "../events/paced-progress.js";
import { hasQuantization } from "../source/quantized-source.js";
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
  const tensors = [...checkpoint.tensors.values()].map(inspectedPlain);
  const quantized = hasQuantization(config);
  const found = quantized ? null : sourceCensus({ config, linears: new Map(), plain: checkpoint.tensors });
  const census = found === null ? null : censusRecord(found, []);
  return inspection({ path: folder, format: "safetensors", family, scheme: null, census, units: null }, tensors);
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
