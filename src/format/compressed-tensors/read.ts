import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { isJsonObject, type JsonObject, parseJsonObject } from "../../checkpoint/json/json.js";
import { type ModelConfig, readModelConfig } from "../../checkpoint/model-config.js";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import { sameTensor } from "../../checkpoint/same-tensor.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import type { TensorFacts } from "../../network/index.js";
import { widestOf } from "../../quant/grid/group-grid.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { ActivationQuantization, ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { networkSource } from "../source/network-source.js";
import { folderViews, resolvedConfig } from "../source/source-spec.js";
import type { StoredTensor } from "../source/stored-tensor.js";
import { recordFile } from "../written-files.js";
import { decodeWeight } from "./decode.js";
import {
  GROUP_BITS,
  GROUP_INDEX,
  GROUP_PACKED,
  GROUP_STORAGE,
  INPUT_SCALE,
  INPUT_ZERO_POINT,
  PACKED,
  PLAIN_WEIGHT,
  QUANT_METHOD,
  SCALE,
  SHAPE,
  type StorageFormat,
  ZERO_POINT,
} from "./layout.js";
import { readInputGrids } from "./read-input-grids.js";
import { type GroupScheme, groupFor, hasFloatGroups, parseSchemeGroups } from "./scheme-groups.js";

const maxRecordLength = 64_000_000;

/** A compressed-tensors folder, decoded on demand. */
export interface CompressedTensorsFolder extends ExportSource, Disposable {
  /** `crossblock.json`: how the result came about. Null in folders of other tools. */
  readonly record: JsonObject | null;
  /** `config.json` as it lies there; `config` is what the network is computed from. */
  readonly storedConfig: ModelConfig;
}

/** True when `config.json` says that the weights are integer codes in this format; floats of eight bits are another matter. */
export function isCompressedTensors(config: ModelConfig): boolean {
  const quantization = config["quantization_config"];
  return isJsonObject(quantization) && quantization["quant_method"] === QUANT_METHOD && !hasFloatGroups(quantization);
}

/**
 * Opens a compressed-tensors folder. Names, types and shapes of all tensors are checked here; codes when they are read.
 *
 * @throws FormatError when configuration and tensors contradict each other, or for schemes that crossblock doesn't read
 * @throws CheckpointError when the folder or its weight files are damaged
 */
export async function openCompressedTensors(folder: string): Promise<CompressedTensorsFolder> {
  const { quantization_config: quantization, ...given } = await readModelConfig(folder);
  if (!isJsonObject(quantization) || quantization["quant_method"] !== QUANT_METHOD) {
    throw new FormatError({
      what: `config.json has no quantization_config of ${QUANT_METHOD}`,
      where: folder,
      next: `look at what it is: crossblock inspect ${shellWord(folder)}`,
    });
  }
  const groups = parseSchemeGroups(quantization, `${folder}/config.json`);
  const recordText = ModelFolder.open(folder).readText(recordFile, maxRecordLength);
  const record = recordText === null ? null : parseJsonObject(recordText, join(folder, recordFile));
  const checkpoint = await Checkpoint.open(folder);
  try {
    const modules = await quantizedModules(checkpoint, groups);
    const activations = commonActivations(modules);
    const name = record?.["name"];
    const opened: CompressedTensorsFolder = {
      ...(typeof name === "string" && { name }),
      config: resolvedConfig(given, tensorFacts(checkpoint, modules)),
      storedConfig: given,
      folder,
      linears: new Map([...modules].map(([name, module]) => [name, module.layout])),
      plain: plainTensors(checkpoint, modules),
      activations,
      ...(await readInputGrids(checkpoint, [...modules.keys()], activations)),
      record,
      readQuantized: (name) => readQuantized(checkpoint, name, modules),
      readPlain: (name) => checkpoint.read(name),
      [Symbol.dispose]: () => checkpoint.close(),
    };
    return networkSource(opened, folderViews(opened));
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

// A head that is quantized is no copy of the embedding.
function tensorFacts(checkpoint: Checkpoint, modules: ReadonlyMap<string, QuantizedModule>): TensorFacts {
  return {
    has: (name) => checkpoint.tensors.has(name) || modules.has(name.replace(/\.weight$/, "")),
    same: (a, b) => sameTensor(checkpoint, a, b),
  };
}

interface QuantizedModule {
  readonly layout: QuantizedLayout;
  readonly storage: StorageFormat;
  readonly activations: ActivationQuantization | null;
}

async function quantizedModules(
  checkpoint: Checkpoint,
  groups: readonly GroupScheme[],
): Promise<Map<string, QuantizedModule>> {
  const modules = new Map<string, QuantizedModule>();
  for (const { name: tensor, dtype } of checkpoint.tensors.values()) {
    const grouped = tensor.endsWith(`.${GROUP_PACKED}`);
    const packed = tensor.endsWith(`.${PACKED}`);
    if (!packed && !grouped && !(tensor.endsWith(`.${PLAIN_WEIGHT}`) && dtype === "I8")) continue;
    const name = tensor.slice(0, tensor.lastIndexOf("."));
    const scheme = groupFor(name, groups);
    if (scheme === undefined) contradiction(name, "no group of the configuration targets this quantized module");
    const storage: StorageFormat = grouped ? GROUP_STORAGE : packed ? "pack-quantized" : "int-quantized";
    const layout = await layoutOf(checkpoint, name, storage, scheme);
    modules.set(name, { layout, storage, activations: scheme.activations });
  }
  if (modules.size === 0)
    contradiction(checkpoint.folder, "no quantized tensor in a folder that claims to be quantized");
  return modules;
}

async function layoutOf(
  checkpoint: Checkpoint,
  name: string,
  storage: StorageFormat,
  { bits, symmetric, groupSize }: GroupScheme,
): Promise<QuantizedLayout> {
  if (checkpoint.tensors.has(`${name}.${GROUP_INDEX}`)) {
    throw new FormatError({
      what: "columns in activation order (weight_g_idx)",
      where: name,
      why: "the library withdrew this ordering",
      next: "quantize without act-order, or with act-order of the kind that keeps the columns in place",
    });
  }
  if (storage === GROUP_STORAGE) return groupLayout(checkpoint, name, groupSize);
  const packed = storage === "pack-quantized";
  const codes = find(checkpoint, `${name}.${packed ? PACKED : PLAIN_WEIGHT}`);
  const [rows = 0, width = 0] = codes.shape;
  const columns = packed ? await storedColumns(checkpoint, name, rows) : width;
  if (codes.shape.length !== 2 || rows < 1 || (packed && width !== Math.ceil((columns * bits) / 32))) {
    const padded = packed && width === Math.ceil(columns / Math.floor(32 / bits));
    contradiction(
      name,
      `codes of shape [${codes.shape.join(", ")}] can't hold ${rows} x ${columns} weights of ${bits} bits`,
      padded ? "they were padded per word, as releases before mid-2026 did with these widths" : undefined,
    );
  }
  const perChannel = groupSize === null;
  const size = groupSize ?? columns;
  if (columns % size !== 0) contradiction(name, `groups of ${size} columns don't divide its ${columns} inputs`);
  for (const part of symmetric ? [SCALE] : [SCALE, ZERO_POINT]) find(checkpoint, `${name}.${part}`);
  return { bits, groupSize: size, perChannel, symmetric, rows, columns };
}

/** Of a weight whose groups have bits of their own, by the tensors that say so. */
async function groupLayout(checkpoint: Checkpoint, name: string, groupSize: number | null): Promise<QuantizedLayout> {
  const [rows = 0] = find(checkpoint, `${name}.${GROUP_PACKED}`).shape;
  const columns = await storedColumns(checkpoint, name, rows);
  const size = groupSize ?? columns;
  if (columns % size !== 0) contradiction(name, `groups of ${size} columns don't divide its ${columns} inputs`);
  const stored = find(checkpoint, `${name}.${GROUP_BITS}`);
  const groups = columns / size;
  if (stored.dtype !== "U8" || stored.byteLength !== groups) {
    contradiction(stored.name, `${stored.dtype} [${stored.shape.join(", ")}] for the bits of ${groups} groups`);
  }
  const groupBits = [...(await checkpoint.read(stored.name))];
  if (groupBits.some((bits) => bits < 1 || bits > 8)) contradiction(stored.name, "bits that are not 1 to 8");
  for (const part of [SCALE, ZERO_POINT]) find(checkpoint, `${name}.${part}`);
  const bits = widestOf(groupBits);
  return { bits, groupBits, groupSize: size, perChannel: groupSize === null, symmetric: false, rows, columns };
}

/** Inputs of a packed weight: its stored shape, whose outputs must be the rows of the codes. */
async function storedColumns(checkpoint: Checkpoint, name: string, rows: number): Promise<number> {
  const shape = find(checkpoint, `${name}.${SHAPE}`);
  const bytes = shape.byteLength <= 16 ? await checkpoint.read(shape.name) : new Uint8Array();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = shape.dtype === "I64" && bytes.byteLength === 16;
  if (!wide && !(shape.dtype === "I32" && bytes.byteLength === 8)) {
    contradiction(shape.name, `${shape.dtype} [${shape.shape.join(", ")}] instead of two integers`);
  }
  const stored = wide
    ? [Number(view.getBigInt64(0, true)), Number(view.getBigInt64(8, true))]
    : [view.getInt32(0, true), view.getInt32(4, true)];
  const [out = 0, columns = 0] = stored;
  if (out !== rows || !Number.isSafeInteger(columns) || columns < 1) {
    contradiction(shape.name, `the stored shape [${stored.join(", ")}] contradicts the ${rows} rows of codes`);
  }
  return columns;
}

function commonActivations(modules: ReadonlyMap<string, QuantizedModule>): ActivationQuantization | null {
  let first: QuantizedModule | undefined;
  for (const [name, module] of modules) {
    first ??= module;
    if (isDeepStrictEqual(first.activations, module.activations)) continue;
    throw new FormatError({
      what: "its inputs are quantized in another way than those of other modules",
      where: name,
      why: "crossblock runs one activation scheme per model",
      next: "run this folder with vLLM or transformers",
    });
  }
  return first?.activations ?? null;
}

function plainTensors(
  checkpoint: Checkpoint,
  modules: ReadonlyMap<string, QuantizedModule>,
): ReadonlyMap<string, TensorInfo> {
  const parts: ReadonlySet<string> = new Set([
    GROUP_PACKED,
    GROUP_BITS,
    PACKED,
    PLAIN_WEIGHT,
    SCALE,
    ZERO_POINT,
    SHAPE,
    INPUT_SCALE,
    INPUT_ZERO_POINT,
  ]);
  const plain = new Map<string, TensorInfo>();
  for (const [name, info] of checkpoint.tensors) {
    const dot = name.lastIndexOf(".");
    if (!(modules.has(name.slice(0, dot)) && parts.has(name.slice(dot + 1)))) plain.set(name, info);
  }
  return plain;
}

async function readQuantized(
  checkpoint: Checkpoint,
  name: string,
  modules: ReadonlyMap<string, QuantizedModule>,
): Promise<QuantizedWeight> {
  const module = modules.get(name);
  if (module === undefined) {
    throw new FormatError({
      what: "no quantized weight of this name",
      where: `${checkpoint.folder}, ${name}`,
      next: `list the tensors: crossblock inspect ${shellWord(checkpoint.folder)}`,
    });
  }
  const { layout, storage } = module;
  const stored = async (part: string): Promise<StoredTensor> => {
    const { name: tensor, dtype, shape } = find(checkpoint, `${name}.${part}`);
    return { dtype, shape, bytes: await checkpoint.read(tensor) };
  };
  return decodeWeight(name, layout, storage, {
    codes: await stored(CODES[storage]),
    scale: await stored(SCALE),
    zeroPoint: layout.symmetric ? null : await stored(ZERO_POINT),
  });
}

const CODES: Readonly<Record<StorageFormat, string>> = {
  "pack-quantized": PACKED,
  "int-quantized": PLAIN_WEIGHT,
  [GROUP_STORAGE]: GROUP_PACKED,
};

function find(checkpoint: Checkpoint, tensor: string): TensorInfo {
  return checkpoint.tensors.get(tensor) ?? contradiction(tensor, "the tensor is missing");
}

function contradiction(where: string, what: string, why?: string): never {
  throw new FormatError({
    what,
    where,
    why: why ?? "weights and config.json don't belong together, or the file is damaged",
    next: "export or download this folder again",
  });
}
