import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { isJsonObject } from "../../checkpoint/json/json.js";
import { type ModelConfig, readModelConfig } from "../../checkpoint/model-config.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { networkSource } from "../source/network-source.js";
import { folderViews } from "../source/source-spec.js";
import { contradiction, findTensor, partReader, plainTensors, quantizedModules } from "../source/stored-modules.js";
import { withoutActivationScales } from "./activation-scales.js";
import { decodeWeight } from "./decode.js";
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
    const linears = quantizedModules(checkpoint, CODES, (name, codes) => layoutOf(checkpoint, name, codes, scheme));
    const opened: ExportSource & Disposable = {
      config,
      folder,
      linears,
      plain: plainTensors(checkpoint, linears, [CODES, ZERO_POINTS, SCALES]),
      activations: null,
      inputScales: new Map(),
      async readQuantized(name) {
        const layout = linears.get(name) ?? contradiction(name, "no quantized weight of this name");
        const stored = partReader(checkpoint, name);
        return decodeWeight(name, layout, {
          codes: await stored(CODES),
          zeroPoints: checkpoint.tensors.has(`${name}.${ZERO_POINTS}`) ? await stored(ZERO_POINTS) : null,
          scales: await stored(SCALES),
        });
      },
      readPlain: (name) => checkpoint.read(name),
      [Symbol.dispose]: () => checkpoint.close(),
    };
    const kept = { ...opened, plain: await withoutActivationScales(opened, checkpoint) };
    return networkSource(kept, folderViews(kept));
  } catch (error) {
    checkpoint.close();
    throw error;
  }
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
  for (const part of symmetric ? [SCALES] : [ZERO_POINTS, SCALES]) findTensor(checkpoint, `${name}.${part}`);
  return { bits: BITS, groupSize: size, perChannel: groupSize === null, symmetric, rows: words * PACKED, columns };
}
