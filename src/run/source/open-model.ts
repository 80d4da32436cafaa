import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { isJsonObject } from "../../checkpoint/json/json.js";
import { type ModelConfig, readModelConfig } from "../../checkpoint/model-config.js";
import { CheckpointError } from "../../errors.js";
import {
  type CompressedTensorsFolder,
  isCompressedTensors,
  openCompressedTensors,
} from "../../format/compressed-tensors/read.js";
import { openSourceWeights } from "../../format/dequantized/open-source-weights.js";
import { withoutQuantization } from "../../format/dequantized/read-encoding.js";
import { requireComplete, sourceSpec } from "../../format/source/source-spec.js";
import {
  type BlockLinear,
  checkpointSource,
  Decoder,
  type DecoderSpec,
  decoderUnits,
  multiplied,
  networkReader,
  readModel,
  type TensorSource,
  takeCensus,
} from "../../network/index.js";
import type { ActivationQuantizer } from "../../quant/input/activation.js";
import { StoredTensorQuantizer } from "../../quant/input/asymmetric-tensor.js";
import { quantizerFrom } from "../../quant/input/stored-quantizer.js";
import { type Device, type DType, freeOnError, type Tensor } from "../../tensor/index.js";
import type { RequestContext } from "../engine/serve-requests.js";
import { censusWarnings, decodedWarning } from "../events/census-record.js";
import { contradiction } from "../events/contradiction.js";
import type { WorkEvent } from "../events/events.js";
import { parseResultRecord } from "../result/result-file.js";
import { decodedTensor } from "./decoded-tensor.js";
import { exportedNetwork, loadExport } from "./open-export.js";
import { resolveFolder } from "./resolve-folder.js";
import { readStoredInputs } from "./trained/stored-inputs.js";

/** A network in memory, ready to compute, and what it needs beside its weights. */
export interface LoadedModel extends Disposable {
  readonly folder: string;
  readonly decoder: Decoder;
  readonly device: Device;
}

interface Placement {
  readonly device: Device;
  readonly dtype: DType;
}

export interface OpenModelOptions extends Placement {
  /** False leaves inputs of Linears in floating point, as weight-only runtimes do. Defaults to true. */
  readonly quantizeInputs?: boolean;
}

/**
 * Loads a model folder, or a result, whose weights are decoded from the written codes and whose inputs
 * are quantized as they were when it was optimised.
 */
export async function openModel(
  nameOrFolder: string,
  to: OpenModelOptions,
  context: RequestContext<WorkEvent>,
): Promise<LoadedModel> {
  const folder = await resolveFolder(nameOrFolder, context);
  const config = await readModelConfig(folder);
  using exported = isCompressedTensors(config) || isInActivationOrder(config) ? null : await exportedNetwork(folder);
  if (exported !== null) {
    const decoder = await loadExport(exported, to, context);
    return { folder, decoder, device: to.device, [Symbol.dispose]: () => decoder.dispose() };
  }
  return isCompressedTensors(config) ? openResult(folder, to, context) : openSource(folder, config, to, context);
}

// Codes whose columns lie in another order than the network's are decoded as a source that is quantized.
function isInActivationOrder({ quantization_config: quantization }: ModelConfig): boolean {
  return isJsonObject(quantization) && quantization["desc_act"] === true;
}

async function openSource(
  folder: string,
  config: ModelConfig,
  { quantizeInputs = true, ...to }: OpenModelOptions,
  { emit, poll }: RequestContext<WorkEvent>,
): Promise<LoadedModel> {
  using stored = await openSourceWeights(folder, config);
  const { spec, config: resolved, contradictions, checkpoint } = readModel(withoutQuantization(config), stored);
  if (stored.encoding !== undefined) emit(decodedWarning(stored.encoding, folder));
  for (const found of contradictions) emit(contradiction(folder, found));
  const census = takeCensus(spec, resolved, stored.tensors.values());
  for (const warning of censusWarnings(census, folder, { result: false })) emit(warning);
  const source = checkpointSource(checkpoint, to);
  const inputs = quantizeInputs ? readStoredInputs(config, folder) : null;
  const quantizers = new Map(
    [...(inputs?.grids ?? [])].map(([module, grid]) => [
      module,
      new StoredTensorQuantizer(inputs?.bits ?? 4, grid, to.device),
    ]),
  );
  const free = (): void => {
    for (const quantizer of quantizers.values()) quantizer.dispose();
  };
  const decoder = freeOnError([{ dispose: free }], () =>
    Decoder.load(
      (name, shape) => {
        poll();
        return source(name, shape);
      },
      spec,
      quantizedInputs(spec, quantizers),
    ),
  );
  const dispose = (): void => {
    decoder.dispose();
    free();
  };
  return { folder, decoder, device: to.device, [Symbol.dispose]: dispose };
}

async function openResult(
  folder: string,
  { quantizeInputs = true, ...to }: OpenModelOptions,
  context: RequestContext<WorkEvent>,
): Promise<LoadedModel> {
  using result = await openCompressedTensors(folder);
  requireComplete(result);
  const spec = sourceSpec(result);
  const weights = await decodeWeights(result, to, context);
  using plain = await Checkpoint.open(folder);
  const other = checkpointSource(networkReader(spec, plain), to);
  const source: TensorSource = (name, shape) => {
    context.poll();
    const weight = weights.get(name);
    return weight === undefined ? other(name, shape) : expectShape(weight, name, shape);
  };
  const quantizers = quantizeInputs ? inputQuantizers(result, to.device) : new Map<string, ActivationQuantizer>();
  try {
    const decoder = Decoder.load(source, spec, quantizedInputs(spec, quantizers));
    const dispose = (): void => {
      decoder.dispose();
      for (const quantizer of quantizers.values()) quantizer.dispose();
    };
    return { folder, decoder, device: to.device, [Symbol.dispose]: dispose };
  } catch (error) {
    for (const weight of weights.values()) weight.dispose();
    for (const quantizer of quantizers.values()) quantizer.dispose();
    throw error;
  }
}

async function decodeWeights(
  result: CompressedTensorsFolder,
  to: Placement,
  { emit, poll }: RequestContext<WorkEvent>,
): Promise<Map<string, Tensor>> {
  const weights = new Map<string, Tensor>();
  const total = result.linears.size;
  try {
    for (const name of result.linears.keys()) {
      poll();
      weights.set(`${name}.weight`, decodedTensor(await result.readQuantized(name), to));
      if (weights.size % 16 === 0) emit({ event: "progress", stage: "decoding weights", done: weights.size, total });
    }
    return weights;
  } catch (error) {
    for (const weight of weights.values()) weight.dispose();
    throw error;
  }
}

function expectShape(tensor: Tensor, name: string, shape: readonly number[]): Tensor {
  if (tensor.shape.length === shape.length && tensor.shape.every((size, i) => size === shape[i])) return tensor;
  throw new CheckpointError({
    where: name,
    what: `has shape [${tensor.shape.join(", ")}], config.json asks for [${shape.join(", ")}]`,
    next: "use the config.json that belongs to these weights",
  });
}

function inputQuantizers(result: CompressedTensorsFolder, device: Device): Map<string, ActivationQuantizer> {
  const { activations } = result;
  if (activations === null) return new Map();
  const record = result.record === null ? null : parseResultRecord(result.record, result.folder);
  const values = new Map(Object.entries(record?.activations?.values ?? {}));
  const quantizer = (name: string): ActivationQuantizer => {
    const { granularity, bits } = activations;
    const step = granularity === "tensor" ? result.inputScales.get(name) : undefined;
    const zeroPoint = result.inputZeroPoints?.get(name) ?? null;
    return quantizerFrom(granularity, bits, step ?? values.get(name) ?? 1, device, { learn: false, zeroPoint });
  };
  return new Map([...result.linears.keys()].map((name) => [name, quantizer(name)]));
}

function quantizedInputs(spec: DecoderSpec, quantizers: ReadonlyMap<string, ActivationQuantizer>): BlockLinear {
  if (quantizers.size === 0) return () => undefined;
  const modules = decoderUnits(spec).map(({ layers }) => new Map(layers.map(({ name, module }) => [name, module])));
  return (block) => (name, input, linear, groups) => {
    const quantizer = quantizers.get(modules[block]?.get(name) ?? "");
    return multiplied(quantizer?.apply(input) ?? input, linear.weight, linear, groups);
  };
}
