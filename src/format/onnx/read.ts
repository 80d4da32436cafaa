import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { gitLfsDetails, gitLfsPointerAt } from "../../checkpoint/git-lfs-pointer.js";
import { FormatError } from "../../errors.js";
import { type BlockedWeight, decodeWeight, type StoredShape } from "./decode.js";
import { decodeMessage } from "./message/decode-message.js";
import {
  DATA_TYPE_BYTES,
  DATA_TYPES,
  type DataType,
  EXTERNAL,
  MODEL,
  type OnnxModel,
  type OnnxNode,
} from "./message/schema.js";

/** Beyond this a graph holds its weights itself, and protobuf's readers end at twice as much. */
const MAX_GRAPH_BYTES = 2 ** 30;

/** One initializer of a file. */
export interface OnnxFileTensor {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Data file beside the graph's, and where the tensor begins in it; null for tensors inside the graph's file. */
  readonly location: string | null;
  readonly offset: number;
}

/** One MatMulNBits node and the initializers that it reads. */
export interface StoredLinear extends StoredShape {
  readonly accuracyLevel: number;
  readonly codes: string;
  readonly scales: string;
  readonly zeroPoints: string | null;
}

const DATA_TYPE_BY_ID = new Map<number, DataType>(
  Object.entries(DATA_TYPES).map(([name, id]) => [id, name as DataType]),
);

/**
 * An open ONNX file with its data files. Names, types, shapes and places of all tensors are checked when it is opened,
 * against the sizes of the files; bytes are read on demand. Throws FormatErrors.
 */
export class OnnxFile implements Disposable {
  readonly file: string;
  readonly model: OnnxModel;
  readonly tensors: ReadonlyMap<string, OnnxFileTensor>;
  /** Quantized Linears by module name, which is the node's name without `/MatMulNBits`. */
  readonly linears: ReadonlyMap<string, StoredLinear>;
  readonly #inline = new Map<string, Uint8Array>();
  readonly #open = new Map<string, number>();

  /** @throws EnvironmentError when the file can't be read; FormatError when it is no sound ONNX file */
  static open(file: string): OnnxFile {
    let bytes: Uint8Array;
    try {
      if (statSync(file).size > MAX_GRAPH_BYTES) {
        throw new FormatError({
          what: "a graph of more than 1 GiB, which holds its weights itself",
          where: file,
          next: "open a file whose weights are external data",
        });
      }
      const meant = gitLfsPointerAt(file);
      if (meant !== null) throw new FormatError(gitLfsDetails(file, meant));
      const buffer = readFileSync(file);
      bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    } catch (error) {
      if (error instanceof FormatError) throw error;
      throw fileSystemError(error, "the ONNX file can't be opened", file);
    }
    return new OnnxFile(file, decodeMessage(MODEL, bytes, file));
  }

  private constructor(file: string, model: OnnxModel) {
    this.file = file;
    this.model = model;
    try {
      if (model.graph === undefined || model.irVersion === undefined) this.#fail(file, "this is not an ONNX model");
      this.tensors = this.#readTensors();
      this.linears = this.#readLinears();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The stored bytes of a tensor. */
  readBytes(name: string): Uint8Array {
    const tensor = this.tensors.get(name) ?? this.#fail(name, "the file has no such tensor");
    if (tensor.location === null) return this.#inline.get(name) ?? new Uint8Array(0);
    const bytes = new Uint8Array(tensor.byteLength);
    const descriptor = this.#descriptor(tensor.location);
    for (let filled = 0; filled < bytes.length; ) {
      const read = readSync(descriptor, bytes, filled, bytes.length - filled, tensor.offset + filled);
      if (read === 0) this.#fail(name, `the data file ${tensor.location} ends inside the tensor`);
      filled += read;
    }
    return bytes;
  }

  /** Codes, scales and zero points of a quantized Linear. */
  readQuantized(module: string): BlockedWeight {
    const linear = this.linears.get(module) ?? this.#fail(module, "the file has no quantized Linear of this name");
    return decodeWeight(module, linear, {
      codes: this.readBytes(linear.codes),
      scales: this.readBytes(linear.scales),
      zeroPoints: linear.zeroPoints === null ? null : this.readBytes(linear.zeroPoints),
    });
  }

  close(): void {
    for (const descriptor of this.#open.values()) closeSync(descriptor);
    this.#open.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #readTensors(): Map<string, OnnxFileTensor> {
    const tensors = new Map<string, OnnxFileTensor>();
    const sizes = new Map<string, number>();
    for (const entry of this.model.graph?.initializers ?? []) {
      const { name = "", shape = [], rawData, externalData = [], dataLocation } = entry;
      if (tensors.has(name)) this.#fail(name, "the tensor appears twice");
      const dataType = DATA_TYPE_BY_ID.get(entry.dataType ?? 0) ?? this.#fail(name, `data type ${entry.dataType}`);
      const byteLength = shape.reduce((product, size) => product * size, DATA_TYPE_BYTES[dataType]);
      if (shape.some((size) => size < 0) || !Number.isSafeInteger(byteLength)) this.#fail(name, `shape [${shape}]`);
      const facts = { name, dataType, shape, byteLength };
      if (dataLocation !== EXTERNAL) {
        if (rawData?.length !== byteLength) this.#fail(name, `${rawData?.length ?? 0} bytes instead of ${byteLength}`);
        this.#inline.set(name, rawData ?? new Uint8Array(0));
        tensors.set(name, { ...facts, location: null, offset: 0 });
        continue;
      }
      const fields = new Map(externalData.map(({ key = "", value = "" }) => [key, value]));
      const location = fields.get("location") ?? "";
      const offset = wholeNumber(fields.get("offset") ?? "0");
      const length = wholeNumber(fields.get("length") ?? String(byteLength));
      if (length !== byteLength) this.#fail(name, `${length} bytes of external data for a tensor of ${byteLength}`);
      const size = sizes.get(location) ?? this.#sizeOf(location, name);
      sizes.set(location, size);
      if (!(offset + byteLength <= size)) this.#fail(name, `it ends past the end of ${location}`);
      tensors.set(name, { ...facts, location, offset });
    }
    this.#checkOverlaps(tensors);
    return tensors;
  }

  #checkOverlaps(tensors: ReadonlyMap<string, OnnxFileTensor>): void {
    const ends = new Map<string, number>();
    for (const { name, location, offset, byteLength } of [...tensors.values()].sort((a, b) => a.offset - b.offset)) {
      if (location === null) continue;
      if (offset < (ends.get(location) ?? 0)) this.#fail(name, "it overlaps the tensor before it");
      ends.set(location, offset + byteLength);
    }
  }

  #readLinears(): Map<string, StoredLinear> {
    const nodes = this.model.graph?.nodes ?? [];
    const casts = new Map(
      nodes
        .filter(({ operator }) => operator === "Cast")
        .map(({ inputs = [], outputs = [] }) => [outputs[0] ?? "", inputs[0] ?? ""]),
    );
    const linears = new Map<string, StoredLinear>();
    for (const node of nodes) {
      if (node.operator !== "MatMulNBits") continue;
      const module = (node.name ?? "").replace(/\/MatMulNBits$/, "");
      if (linears.has(module)) this.#fail(module, "two nodes have this name");
      linears.set(module, this.#readLinear(module, node, casts));
    }
    return linears;
  }

  #readLinear(module: string, node: OnnxNode, casts: ReadonlyMap<string, string>): StoredLinear {
    const attributes = new Map((node.attributes ?? []).map(({ name = "", int }) => [name, int]));
    const { inputs = [] } = node;
    const bits = attributes.get("bits") ?? 4;
    const blockSize = attributes.get("block_size") ?? 0;
    const [rows, columns] = [attributes.get("N") ?? 0, attributes.get("K") ?? 0];
    if (bits !== 2 && bits !== 4 && bits !== 8) return this.#fail(module, `${bits} bits, not 2, 4 or 8`);
    if (!Number.isInteger(Math.log2(blockSize)) || blockSize < 16) this.#fail(module, `blocks of ${blockSize} columns`);
    if (rows < 1 || columns < 1) this.#fail(module, `${rows} x ${columns} weights`);
    const stored = (i: number, dataType: DataType): string => {
      const value = inputs[i] ?? "";
      const name = this.tensors.has(value) ? value : (casts.get(value) ?? "");
      const found = this.tensors.get(name)?.dataType;
      return found === dataType ? name : this.#fail(module, `input ${i} is ${found ?? "missing"}, not ${dataType}`);
    };
    return {
      rows,
      columns,
      bits,
      blockSize,
      accuracyLevel: attributes.get("accuracy_level") ?? 0,
      codes: stored(1, "uint8"),
      scales: stored(2, "float16"),
      zeroPoints: (inputs[3] ?? "") === "" ? null : stored(3, "uint8"),
    };
  }

  #sizeOf(location: string, tensor: string): number {
    if (!/^[^/\\\0]+$/.test(location) || location === "." || location === "..") {
      this.#fail(tensor, `its data file ${JSON.stringify(location)} is not a plain name beside the model`);
    }
    return fstatSync(this.#descriptor(location)).size;
  }

  #descriptor(location: string): number {
    const known = this.#open.get(location);
    if (known !== undefined) return known;
    const path = join(dirname(this.file), location);
    try {
      const descriptor = openSync(path, "r");
      this.#open.set(location, descriptor);
      return descriptor;
    } catch (error) {
      throw fileSystemError(error, "the ONNX data file can't be opened", path);
    }
  }

  #fail(where: string, what: string): never {
    throw new FormatError({
      what,
      where: where === this.file ? where : `${this.file}, ${where}`,
      why: "the file is damaged, or not one that crossblock writes",
      next: "export or download this folder again",
    });
  }
}

function wholeNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}
