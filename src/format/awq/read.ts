import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { isJsonObject } from "../../checkpoint/json/json.js";
import { type ModelConfig, readModelConfig } from "../../checkpoint/model-config.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { networkSource } from "../source/network-source.js";
import { folderViews } from "../source/source-spec.js";
import { decodeWeight, type StoredTensor } from "./decode.js";
import { BITS, CODES, PACKED, QUANT_METHOD, SCALES, ZERO_POINTS } from "./layout.js";
import { type AwqScheme, parseScheme } from "./quantization-config.js";

/** True when `config.json` says that the weights are in this format. */
export function isAwq(config: ModelConfig): boolean {
  const quantization = config["quantization_config"];
  return isJsonObject(quantization) && quantization["quant_method"] === QUANT_METHOD;
}

/**
 * Opens an AWQ folder. Names, types and shapes are checked here; codes and zero points when they are read.
 *
 * @throws FormatError when configuration and tensors contradict each other, or for versions that crossblock doesn't read
 * @throws CheckpointError when the folder or its weight files are damaged
 */
export async function openAwq(folder: string): Promise<ExportSource & Disposable> {
  const given = await readModelConfig(folder);
  const { quantization_config: quantization, ...config } = given;
  if (!isAwq(given)) {
    throw new FormatError({
      what: "config.json describes no weights of AWQ",
      where: folder,
      next: `look at what it is: crossblock inspect ${shellWord(folder)}`,
    });
  }
  const scheme = parseScheme(quantization, `${folder}/config.json`);
  const checkpoint = await Checkpoint.open(folder);
  try {
    const linears = quantizedModules(checkpoint, scheme);
    const opened: ExportSource & Disposable = {
      config,
      folder,
      linears,
      plain: plainTensors(checkpoint, linears),
      activations: null,
      inputScales: new Map(),
      async readQuantized(name) {
        const layout = linears.get(name) ?? contradiction(name, "no quantized weight of this name");
        const stored = async (part: string): Promise<StoredTensor> => {
          const { name: tensor, dtype, shape } = find(checkpoint, `${name}.${part}`);
          return { dtype, shape, bytes: await checkpoint.read(tensor) };
        };
        return decodeWeight(name, layout, {
          codes: await stored(CODES),
          zeroPoints: checkpoint.tensors.has(`${name}.${ZERO_POINTS}`) ? await stored(ZERO_POINTS) : null,
          scales: await stored(SCALES),
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

function quantizedModules(checkpoint: Checkpoint, scheme: AwqScheme): Map<string, QuantizedLayout> {
  const modules = new Map<string, QuantizedLayout>();
  for (const tensor of checkpoint.tensors.values()) {
    if (!tensor.name.endsWith(`.${CODES}`)) continue;
    const name = tensor.name.slice(0, -CODES.length - 1);
    modules.set(name, layoutOf(checkpoint, name, tensor, scheme));
  }
  if (modules.size === 0)
    contradiction(checkpoint.folder, "no quantized tensor in a folder that claims to be quantized");
  return modules;
}

function layoutOf(
  checkpoint: Checkpoint,
  name: string,
  codes: TensorInfo,
  { groupSize, symmetric: isSymmetric }: AwqScheme,
): QuantizedLayout {
  const symmetric = isSymmetric(name);
  const [columns = 0, words = 0] = codes.shape;
  if (codes.shape.length !== 2 || columns < 1 || words < 1) {
    contradiction(codes.name, `its shape [${codes.shape.join(", ")}] is none of packed codes`);
  }
  const size = groupSize ?? columns;
  if (columns % size !== 0) contradiction(name, `groups of ${size} columns don't divide its ${columns} inputs`);
  for (const part of symmetric ? [SCALES] : [ZERO_POINTS, SCALES]) find(checkpoint, `${name}.${part}`);
  return { bits: BITS, groupSize: size, perChannel: groupSize === null, symmetric, rows: words * PACKED, columns };
}

function plainTensors(
  checkpoint: Checkpoint,
  linears: ReadonlyMap<string, QuantizedLayout>,
): ReadonlyMap<string, TensorInfo> {
  const parts: ReadonlySet<string> = new Set([CODES, ZERO_POINTS, SCALES]);
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
