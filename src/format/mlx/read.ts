import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { isJsonObject } from "../../checkpoint/json/json.js";
import { type ModelConfig, optionalString, readModelConfig } from "../../checkpoint/model-config.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import { type Provenance, provenanceOf } from "./config/provenance.js";
import { type MlxSchemes, parseSchemes, schemeOf } from "./config/quantization.js";
import { type AffineShape, type AffineWeight, decodeWeight, type StoredTensor } from "./decode.js";
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
    const modules = quantizedModules(checkpoint, schemes);
    return {
      folder,
      config,
      family: optionalString(config, "model_type") ?? "unknown",
      provenance: provenanceOf(crossblock),
      modules,
      plain: plainTensors(checkpoint, modules),
      bytes: [...checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
      async readAffine(name) {
        const module = modules.get(name) ?? contradiction(name, "no quantized weight of this name");
        const stored = async (part: string): Promise<StoredTensor> => {
          const { name: tensor, dtype } = find(checkpoint, `${name}.${part}`);
          return { dtype, bytes: await checkpoint.read(tensor) };
        };
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

function quantizedModules(checkpoint: Checkpoint, schemes: MlxSchemes): Map<string, MlxModule> {
  const modules = new Map<string, MlxModule>();
  for (const tensor of checkpoint.tensors.values()) {
    if (!tensor.name.endsWith(`.${SCALES}`)) continue;
    const name = tensor.name.slice(0, -SCALES.length - 1);
    modules.set(name, moduleOf(checkpoint, name, tensor, schemes));
  }
  if (modules.size === 0)
    contradiction(checkpoint.folder, "no quantized tensor in a folder that claims to be quantized");
  return modules;
}

function moduleOf(checkpoint: Checkpoint, name: string, scales: TensorInfo, schemes: MlxSchemes): MlxModule {
  const scheme = schemeOf(name, schemes);
  if (scheme === null) return contradiction(name, "the configuration leaves this quantized module alone");
  const { bits, groupSize } = scheme;
  const codes = find(checkpoint, `${name}.${CODES}`);
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
  for (const info of [scales, find(checkpoint, `${name}.${BIASES}`)]) {
    if (info.dtype === dtype && info.shape.join() === wanted.join()) continue;
    contradiction(info.name, `${described(info)} where ${dtype} [${wanted.join(", ")}] belongs`);
  }
  const rows = leading.reduce((product, size) => product * size, 1);
  return { bits, groupSize, rows, columns, type: dtype, shape: codes.shape };
}

function plainTensors(
  checkpoint: Checkpoint,
  modules: ReadonlyMap<string, MlxModule>,
): ReadonlyMap<string, TensorInfo> {
  const parts: ReadonlySet<string> = new Set([CODES, SCALES, BIASES]);
  const isPart = (name: string): boolean => {
    const dot = name.lastIndexOf(".");
    return modules.has(name.slice(0, dot)) && parts.has(name.slice(dot + 1));
  };
  return new Map([...checkpoint.tensors].filter(([name]) => !isPart(name)));
}

function described({ dtype, shape }: TensorInfo): string {
  return `${dtype} [${shape.join(", ")}]`;
}

function find(checkpoint: Checkpoint, tensor: string): TensorInfo {
  return checkpoint.tensors.get(tensor) ?? contradiction(tensor, "the tensor is missing");
}

function contradiction(where: string, what: string): never {
  throw new FormatError({
    what,
    where,
    why: "weights and config.json don't belong together, or the file is damaged",
    next: "export or download this folder again",
  });
}
