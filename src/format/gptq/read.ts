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
import { contradiction, findTensor, partReader, plainTensors, quantizedModules } from "../source/stored-modules.js";
import { decodeWeight } from "./decode.js";
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
    const linears = quantizedModules(checkpoint, CODES, (name, codes) => layoutOf(checkpoint, name, codes, schemes));
    const opened: GptqFolder = {
      config,
      folder,
      linears,
      plain: plainTensors(checkpoint, linears, [CODES, ZERO_POINTS, SCALES, GROUP_INDEX]),
      activations: null,
      inputScales: new Map(),
      checkpointFormat: schemes.version,
      async readQuantized(name) {
        const layout = linears.get(name) ?? contradiction(name, "no quantized weight of this name");
        const stored = partReader(checkpoint, name);
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
  for (const part of [ZERO_POINTS, SCALES]) findTensor(checkpoint, `${name}.${part}`);
  return { bits, groupSize: size, perChannel: groupSize === null, symmetric, rows, columns };
}
