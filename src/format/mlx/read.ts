import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { isJsonObject } from "../../checkpoint/json/json.js";
import { type ModelConfig, optionalString, readModelConfig } from "../../checkpoint/model-config.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import { contradiction, findTensor, partReader, plainTensors, quantizedModules } from "../source/stored-modules.js";
import { type Provenance, provenanceOf } from "./config/provenance.js";
import { type MlxSchemes, parseSchemes, schemeOf } from "./config/quantization.js";
import { type AffineShape, type AffineWeight, decodeWeight } from "./decode.js";
import { BIASES, CODES, SCALES, type ScaleType } from "./layout.js";

/** A quantized module of a file. */
export interface MlxModule extends AffineShape {
  /** Floating point of its scales and biases. */
  readonly type: ScaleType;
  /** Of the codes, as they are stored. */
  readonly shape: readonly number[];
}

/** An MLX folder by its own names, decoded on demand. */
export interface MlxFolder extends Disposable {
  readonly folder: string;
  /** `config.json` without what speaks of the quantization. */
  readonly config: ModelConfig;
  readonly family: string;
  /** What crossblock recorded of how it was written; null in folders of other programs. */
  readonly provenance: Provenance | null;
  readonly modules: ReadonlyMap<string, MlxModule>;
  /** All other tensors. */
  readonly plain: ReadonlyMap<string, TensorInfo>;
  readonly bytes: number;
  readAffine(module: string): Promise<AffineWeight>;
  readPlain(name: string): Promise<Uint8Array>;
}

/**
 * Opens an MLX folder. Names, types and shapes are checked here; codes, scales and biases when they are read.
 *
 * @throws FormatError when configuration and tensors contradict each other, or for schemes that crossblock doesn't read
 * @throws CheckpointError when the folder or its weight files are damaged
 */
export async function openMlxFolder(folder: string): Promise<MlxFolder> {
  const { quantization, quantization_config: _, crossblock, ...config } = await readModelConfig(folder);
  if (!isJsonObject(quantization)) {
    throw new FormatError({
      what: "config.json describes no weights of MLX",
      where: folder,
      next: `look at what it is: crossblock inspect ${shellWord(folder)}`,
    });
  }
  const schemes = parseSchemes(quantization, `${folder}/config.json`);
  const checkpoint = await Checkpoint.open(folder);
  try {
    const modules = quantizedModules(checkpoint, SCALES, (name, scales) => moduleOf(checkpoint, name, scales, schemes));
    return {
      folder,
      config,
      family: optionalString(config, "model_type") ?? "unknown",
      provenance: provenanceOf(crossblock),
      modules,
      plain: plainTensors(checkpoint, modules, [CODES, SCALES, BIASES]),
      bytes: [...checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
      async readAffine(name) {
        const module = modules.get(name) ?? contradiction(name, "no quantized weight of this name");
        const stored = partReader(checkpoint, name);
        return decodeWeight(name, module, {
          codes: await stored(CODES),
          scales: await stored(SCALES),
          biases: await stored(BIASES),
        });
      },
      readPlain: (name) => checkpoint.read(name),
      [Symbol.dispose]: () => checkpoint.close(),
    };
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

function moduleOf(checkpoint: Checkpoint, name: string, scales: TensorInfo, schemes: MlxSchemes): MlxModule {
  const scheme = schemeOf(name, schemes);
  if (scheme === null) return contradiction(name, "the configuration leaves this quantized module alone");
  const { bits, groupSize } = scheme;
  const codes = findTensor(checkpoint, `${name}.${CODES}`);
  const columns = ((codes.shape.at(-1) ?? 0) * 32) / bits;
  const leading = codes.shape.slice(0, -1);
  if (codes.dtype !== "U32" || leading.length < 1 || leading.length > 2 || columns % groupSize !== 0) {
    contradiction(codes.name, `${described(codes)} is none of ${bits}-bit codes in groups of ${groupSize}`);
  }
  const wanted = [...leading, columns / groupSize];
  const { dtype } = scales;
  if (dtype !== "F16" && dtype !== "BF16" && dtype !== "F32") {
    return contradiction(scales.name, `scales of type ${dtype}`);
  }
  for (const info of [scales, findTensor(checkpoint, `${name}.${BIASES}`)]) {
    if (info.dtype === dtype && info.shape.join() === wanted.join()) continue;
    contradiction(info.name, `${described(info)} where ${dtype} [${wanted.join(", ")}] belongs`);
  }
  const rows = leading.reduce((product, size) => product * size, 1);
  return { bits, groupSize, rows, columns, type: dtype, shape: codes.shape };
}

function described({ dtype, shape }: TensorInfo): string {
  return `${dtype} [${shape.join(", ")}]`;
}
