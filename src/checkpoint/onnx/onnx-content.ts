import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { FormatError } from "../../errors.js";
import { fileSystemError } from "../file-system/file-system-error.js";
import { gitLfsDetails, gitLfsPointerAt } from "../git-lfs-pointer.js";
import { decodeMessage } from "./decode-message.js";
import { EXTERNAL, MODEL, type OnnxModel } from "./schema.js";
import { damaged, type TensorFacts, tensorBytes, tensorFacts } from "./stored-tensor.js";

/** Protobuf's own limit, and that of what Node reads at once; larger models keep their weights in data files. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

/** One initializer of a file. */
export interface OnnxFileTensor extends TensorFacts {
  /** Data file beside the graph's, and where the tensor begins in it; null for tensors inside the graph's file. */
  readonly location: string | null;
  readonly offset: number;
}

/**
 * An open ONNX file with its data files. Names, types, shapes and places of all initializers are checked when it is opened,
 * against the sizes of the files; bytes of data files are read on demand. Throws FormatErrors.
 */
export class OnnxContent implements Disposable {
  readonly file: string;
  readonly model: OnnxModel;
  /** Initializers by name. */
  readonly tensors: ReadonlyMap<string, OnnxFileTensor>;
  readonly #inline = new Map<string, Uint8Array>();
  readonly #open = new Map<string, number>();

  /** @throws EnvironmentError when the file can't be read; FormatError when it is no sound ONNX file */
  static open(file: string): OnnxContent {
    let bytes: Uint8Array;
    try {
      if (statSync(file).size > MAX_FILE_BYTES) {
        throw new FormatError({
          what: "a graph of more than 2 GiB, which protobuf can't hold",
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
    return new OnnxContent(file, bytes, decodeMessage(MODEL, bytes, file));
  }

  private constructor(
    file: string,
    /** The file as it is, for whoever copies parts of it. */
    readonly bytes: Uint8Array,
    model: OnnxModel,
  ) {
    this.file = file;
    this.model = model;
    if (model.graph === undefined || model.irVersion === undefined) {
      throw new FormatError({
        what: "this is not an ONNX model",
        where: file,
        why: "it has no graph, or does not say which version of the format it is in",
        next: "export or download it again",
      });
    }
    try {
      this.tensors = this.#readTensors();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The stored bytes of a tensor, little-endian. They may view the file, and are not to be changed. */
  readBytes(name: string): Uint8Array {
    const tensor = this.tensors.get(name) ?? damaged(this.file, name, "the file has no such tensor");
    if (tensor.location === null) return this.#inline.get(name) ?? new Uint8Array(0);
    const bytes = new Uint8Array(tensor.byteLength);
    const descriptor = this.#descriptor(tensor.location);
    for (let filled = 0; filled < bytes.length; ) {
      const read = readSync(descriptor, bytes, filled, bytes.length - filled, tensor.offset + filled);
      if (read === 0) damaged(this.file, name, `the data file ${tensor.location} ends inside the tensor`);
      filled += read;
    }
    return bytes;
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
      const { externalData = [], dataLocation } = entry;
      const facts = tensorFacts(entry, this.file);
      const { name, byteLength } = facts;
      if (tensors.has(name)) damaged(this.file, name, "the tensor appears twice");
      if (dataLocation !== EXTERNAL) {
        this.#inline.set(name, tensorBytes(entry, this.file));
        tensors.set(name, { ...facts, location: null, offset: 0 });
        continue;
      }
      const fields = new Map(externalData.map(({ key = "", value = "" }) => [key, value]));
      const location = fields.get("location") ?? "";
      const offset = wholeNumber(fields.get("offset") ?? "0");
      const length = wholeNumber(fields.get("length") ?? String(byteLength));
      if (length !== byteLength) {
        damaged(this.file, name, `${length} bytes of external data for a tensor of ${byteLength}`);
      }
      const size = sizes.get(location) ?? this.#sizeOf(location, name);
      sizes.set(location, size);
      if (!(offset + byteLength <= size)) damaged(this.file, name, `it ends past the end of ${location}`);
      tensors.set(name, { ...facts, location, offset });
    }
    return tensors;
  }

  #sizeOf(location: string, tensor: string): number {
    if (!/^[^/\\\0]+$/.test(location) || location === "." || location === "..") {
      damaged(this.file, tensor, `its data file ${JSON.stringify(location)} is not a plain name beside the model`);
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
}

function wholeNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}
