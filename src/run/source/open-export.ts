import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import { CheckpointError } from "../../errors.js";
import type { ExportSource } from "../../format/contract/export-source.js";
import { exporters, formatNames } from "../../format/exporters.js";
import { requireComplete, sourceSpec } from "../../format/source/source-spec.js";
import { checkpointSource, Decoder, type TensorSource } from "../../network/index.js";
import type { Device, DType, Tensor } from "../../tensor/index.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { WorkEvent } from "../events/events.js";
import { decodedTensor } from "./decoded-tensor.js";

interface Placement {
  readonly device: Device;
  readonly dtype: DType;
}

/** The network of a folder in a format that only holds weights: GPTQ, AWQ, MLX. Null for any other folder. */
export async function exportedNetwork(folder: string): Promise<(ExportSource & Disposable) | null> {
  for (const format of formatNames) {
    const { find, network } = exporters[format];
    if (network !== undefined && (await find(folder)) === folder) return network(folder);
  }
  return null;
}

/** Loads such a network: weights are decoded from the written codes, inputs stay as they are. */
export async function loadExport(
  source: ExportSource,
  to: Placement,
  { emit, poll }: RequestContext<WorkEvent>,
): Promise<Decoder> {
  requireComplete(source);
  const spec = sourceSpec(source);
  const weights = new Map<string, Tensor>();
  const total = source.linears.size;
  try {
    for (const name of source.linears.keys()) {
      poll();
      weights.set(`${name}.weight`, decodedTensor(await source.readQuantized(name), to));
      if (weights.size % 16 === 0) emit({ event: "progress", stage: "decoding weights", done: weights.size, total });
    }
    const plain = checkpointSource(await plainReader(source), to);
    const load: TensorSource = (name, shape) => {
      poll();
      const weight = weights.get(name);
      if (weight === undefined) return plain(name, shape);
      weights.delete(name);
      return weight;
    };
    return Decoder.load(load, spec, () => undefined);
  } finally {
    // Those that the network did not take.
    for (const weight of weights.values()) weight.dispose();
  }
}

// The network's loader reads without waiting.
async function plainReader(source: ExportSource): Promise<TensorReader> {
  const bytes = new Map<string, Uint8Array>();
  for (const name of source.plain.keys()) bytes.set(name, await source.readPlain(name));
  const readSync = (name: string): Uint8Array => {
    const found = bytes.get(name);
    if (found !== undefined) return found;
    throw new CheckpointError({
      where: `${source.folder}, ${name}`,
      what: "the tensor is missing",
      next: "export or download this folder again",
    });
  };
  const tensors: ReadonlyMap<string, TensorInfo> = source.plain;
  return { folder: source.folder, tensors, readSync, read: async (name) => readSync(name), willRead: () => {} };
}
