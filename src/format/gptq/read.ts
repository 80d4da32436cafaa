import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { isJsonObject, type JsonObject, parseJsonObject } from "../../checkpoint/json/json.js";
import { type ModelConfig, readModelConfig } from "../../checkpoint/model-config.js";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { networkSource } from "../source/network-source.js";
import { folderViews } from "../source/source-spec.js";
import { decodeWeight, type StoredTensor } from "./decode.js";
import { type CheckpointFormat, CODES, GROUP_INDEX, QUANT_METHOD, SCALES, sizeStep, ZERO_POINTS } from "./layout.js";
import { type GptqSchemes, parseSchemes, schemeFor } from "./schemes.js";

const maxConfigLength = 4_000_000;

/** A GPTQ folder, decoded on demand. */
export interface GptqFolder extends ExportSource, Disposable {
  readonly checkpointFormat: CheckpointFormat;
}

/** True when `config.json` says that the weights are in this format. */
export function isGptq(config: ModelConfig): boolean {
  const quantization = config["quantization_config"];
  return isJsonObject(quantization) && quantization["quant_method"] === QUANT_METHOD;
}

/**
 * Opens a GPTQ folder. Names, types and shapes are checked here; codes, zero points and groups when they are read.
 *
 * @throws FormatError when configuration and tensors contradict each other, or for schemes that crossblock doesn't read
 * @throws CheckpointError when the folder or its weight files are damaged
 */
export async function openGptq(folder: string): Promise<GptqFolder> {
  const { quantization_config: quantization, ...config } = await readModelConfig(folder);
  const schemes = parseSchemes(configOf(folder, quantization), folder);
  const checkpoint = await Checkpoint.open(folder);
  try {
    const linears = quantizedModules(checkpoint, schemes);
    const opened: GptqFolder = {
      config,
      folder,
      linears,
      plain: plainTensors(checkpoint, linears),
      activations: null,
      inputScales: new Map(),
      checkpointFormat: schemes.version,
      async readQuantized(name) {
        const layout = linears.get(name) ?? contradiction(name, "no quantized weight of this name");
        const stored = async (part: string): Promise<StoredTensor> => {
          const { name: tensor, dtype, shape } = find(checkpoint, `${name}.${part}`);
          return { dtype, shape, bytes: await checkpoint.read(tensor) };
        };
        return decodeWeight(name, layout, schemes.version, {
          codes: await stored(CODES),
          zeroPoints: await stored(ZERO_POINTS),
          scales: await stored(SCALES),
          groupIndex: checkpoint.tensors.has(`${name}.${GROUP_INDEX}`) ? await stored(GROUP_INDEX) : null,
        });
      },
      readPlain: (name) => checkpoint.read(name),
      [Symbol.dispose]: () => checkpoint.close(),
    };
    return networkSource(opened, folderViews(opened));
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

/** The object in `config.json`, or for older tools `quantize_config.json`. */
function configOf(folder: string, quantization: ModelConfig[string] | undefined): JsonObject {
  if (isJsonObject(quantization)) {
    if (quantization["quant_method"] === QUANT_METHOD) return quantization;
  } else {
    const text = ModelFolder.open(folder).readText("quantize_config.json", maxConfigLength);
    if (text !== null) return parseJsonObject(text, `${folder}/quantize_config.json`);
  }
  throw new FormatError({
    what: "neither config.json nor quantize_config.json describes GPTQ weights",
    where: folder,
    next: `look at what it is: crossblock inspect ${shellWord(folder)}`,
  });
}

function quantizedModules(checkpoint: Checkpoint, schemes: GptqSchemes): Map<string, QuantizedLayout> {
  const modules = new Map<string, QuantizedLayout>();
  for (const tensor of checkpoint.tensors.values()) {
    if (!tensor.name.endsWith(`.${CODES}`)) continue;
    const name = tensor.name.slice(0, -CODES.length - 1);
    modules.set(name, layoutOf(checkpoint, name, tensor, schemes));
  }
  if (modules.size === 0)
    contradiction(checkpoint.folder, "no quantized tensor in a folder that claims to be quantized");
  return modules;
}

function layoutOf(checkpoint: Checkpoint, name: string, codes: TensorInfo, schemes: GptqSchemes): QuantizedLayout {
  const scheme = schemeFor(name, schemes);
  if (scheme === null) return contradiction(name, "the configuration leaves this quantized module alone");
  const { bits, groupSize, symmetric } = scheme;
  const [words = 0, rows = 0] = codes.shape;
  const columns = (words * 32) / bits;
  const step = sizeStep(bits);
  if (codes.shape.length !== 2 || columns < 1 || rows < 1 || columns % step !== 0 || rows % step !== 0) {
    contradiction(codes.name, `its shape [${codes.shape.join(", ")}] is none of ${bits}-bit codes`);
  }
  const size = groupSize ?? columns;
  if (columns % size !== 0) contradiction(name, `groups of ${size} columns don't divide its ${columns} inputs`);
  for (const part of [ZERO_POINTS, SCALES]) find(checkpoint, `${name}.${part}`);
  return { bits, groupSize: size, perChannel: groupSize === null, symmetric, rows, columns };
}

function plainTensors(
  checkpoint: Checkpoint,
  linears: ReadonlyMap<string, QuantizedLayout>,
): ReadonlyMap<string, TensorInfo> {
  const parts: ReadonlySet<string> = new Set([CODES, ZERO_POINTS, SCALES, GROUP_INDEX]);
  const isPart = (name: string): boolean => {
    const dot = name.lastIndexOf(".");
    return linears.has(name.slice(0, dot)) && parts.has(name.slice(dot + 1));
  };
  return new Map([...checkpoint.tensors].filter(([name]) => !isPart(name)));
}

function find(checkpoint: Checkpoint, tensor: string): TensorInfo {
  return checkpoint.tensors.get(tensor) ?? contradiction(tensor, "the tensor is missing");
}

function contradiction(where: string, what: string): never {
  throw new FormatError({
    what,
    where,
    why: "weights and configuration don't belong together, or the file is damaged",
    next: "export or download this folder again",
  });
}
