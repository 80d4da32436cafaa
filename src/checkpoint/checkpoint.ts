import { closeSync, read } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { CheckpointError, EnvironmentError } from "../errors.js";
import { readAhead } from "../tensor/index.js";
import { fileSystemError } from "./file-system/file-system-error.js";
import { shellWord } from "./file-system/shell-word.js";
import { foreignFolder } from "./foreign-folder.js";
import { quote } from "./json/json.js";
import { endedEarly, largestRead, ModelFolder, readFully } from "./model-folder.js";
import type { ReadBuffer } from "./read-buffer.js";
import { checkHeaderLength, parseSafetensorsHeader } from "./safetensors/safetensors-header.js";
import type { TensorInfo, TensorReader } from "./tensor-reader.js";
import { maxIndexLength, parseWeightIndex, singleWeightFile, weightIndexFile } from "./weight-index.js";

export type { SafetensorsDType } from "./dtype.js";

const readAsync = promisify(read);

interface Location {
  readonly fd: number;
  /** Byte of the file at which the tensor starts. */
  readonly position: number;
  readonly byteLength: number;
  readonly where: string;
}

/**
 * The weights of a model folder: `model.safetensors`, or the shards of `model.safetensors.index.json`
 * (the single file wins where both exist, as in transformers). Opening reads and checks the headers only;
 * each read fetches one tensor, so a checkpoint of any size takes the memory of its largest tensor.
 */
export class Checkpoint implements TensorReader, Disposable {
  readonly folder: string;
  /** By full name, in the order of the files and of the offsets in them. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** `__metadata__` of the first file. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly #locations: ReadonlyMap<string, Location>;
  readonly #descriptors: readonly number[];
  #closed = false;
  #reading = 0;

  private constructor(folder: string, files: readonly WeightFile[]) {
    this.folder = folder;
    this.metadata = files[0]?.metadata ?? new Map();
    this.tensors = new Map(files.flatMap((file) => file.tensors.map((tensor) => [tensor.name, tensor] as const)));
    this.#locations = new Map(files.flatMap((file) => [...file.locations]));
    this.#descriptors = files.map((file) => file.fd);
  }

  /**
   * @param folder a model folder
   * @throws CheckpointError naming the file and the tensor when something is missing, malformed or contradictory
   */
  static async open(folder: string): Promise<Checkpoint> {
    const source = ModelFolder.open(folder);
    const files: WeightFile[] = [];
    try {
      if (source.has(singleWeightFile)) files.push(openWeightFile(source, singleWeightFile));
      else openShards(source, files);
      return new Checkpoint(folder, files);
    } catch (error) {
      for (const file of files) closeSync(file.fd);
      throw error;
    }
  }

  /**
   * The bytes of one tensor, little-endian, in a fresh buffer that starts at offset 0 of its `ArrayBuffer`.
   * @throws CheckpointError for an unknown name or a file that was truncated since it was opened
   */
  async read(name: string): Promise<Uint8Array> {
    const { fd, position, byteLength, where } = this.#locate(name);
    const bytes = allocate(byteLength, where);
    this.#reading++;
    try {
      for (let done = 0; done < byteLength; ) {
        const length = Math.min(byteLength - done, largestRead);
        const { bytesRead } = await readAsync(fd, bytes, done, length, position + done).catch((error: unknown) => {
          throw fileSystemError(error, "reading failed", where);
        });
        if (bytesRead === 0) throw endedEarly(where);
        done += bytesRead;
      }
      return bytes;
    } finally {
      this.#reading--;
      if (this.#closed && this.#reading === 0) this.#closeFiles();
    }
  }

  /** As `read`, blocking: for worker threads. With `buffer` the bytes lie there, until it is used again. */
  readSync(name: string, buffer?: ReadBuffer): Uint8Array {
    const { fd, position, byteLength, where } = this.#locate(name);
    const fresh = (length: number): Uint8Array<ArrayBuffer> => allocate(length, where);
    const bytes = buffer?.take(byteLength, fresh) ?? fresh(byteLength);
    readFully(fd, bytes, position, where);
    return bytes;
  }

  willRead(names: Iterable<string>): void {
    if (this.#closed) return;
    const locations = [...names].flatMap((name) => this.#locations.get(name) ?? []);
    readAhead(locations.map(({ fd, position, byteLength }) => ({ fd, offset: position, length: byteLength })));
  }

  /** A part of a tensor's bytes, for tensors that are too large for one buffer (4 GiB in Node 20). */
  readRangeSync(name: string, begin: number, end: number): Uint8Array {
    const { fd, position, byteLength, where } = this.#locate(name);
    if (
      !(Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin <= end && end <= byteLength)
    ) {
      throw new RangeError(`bytes ${begin}..${end} of ${where}, which has ${byteLength}`);
    }
    const bytes = allocate(end - begin, where);
    readFully(fd, bytes, position + begin, where);
    return bytes;
  }

  /** Closes the files, once reads under way have ended. Reading afterwards is an error. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#reading === 0) this.#closeFiles();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #closeFiles(): void {
    for (const fd of this.#descriptors) closeSync(fd);
  }

  #locate(name: string): Location {
    if (this.#closed) throw new Error(`checkpoint ${this.folder} is closed`);
    const location = this.#locations.get(name);
    if (location !== undefined) return location;
    throw new CheckpointError({
      what: `no tensor ${quote(name)} in this checkpoint of ${this.tensors.size} tensors`,
      where: this.folder,
      next: `check that config.json belongs to these weights; they hold: crossblock inspect ${shellWord(this.folder)} --tensors`,
    });
  }
}

interface WeightFile {
  readonly fd: number;
  readonly tensors: readonly TensorInfo[];
  readonly locations: ReadonlyMap<string, Location>;
  readonly metadata: ReadonlyMap<string, string>;
}

function openWeightFile(folder: ModelFolder, name: string): WeightFile {
  const path = join(folder.path, name);
  const file = folder.openFile(name);
  if (file === null) {
    throw new CheckpointError({
      what: "this shard is missing",
      where: path,
      why: `${weightIndexFile} names it`,
      next: "download the missing file",
    });
  }
  const { fd, size } = file;
  try {
    const prefix = new Uint8Array(Math.min(8, size));
    readFully(fd, prefix, 0, path);
    const headerLength = checkHeaderLength(prefix, size, path);
    const header = new Uint8Array(headerLength);
    readFully(fd, header, 8, path);
    const dataStart = 8 + headerLength;
    const { tensors, metadata } = parseSafetensorsHeader(header, size - dataStart, path);
    const locations = new Map<string, Location>();
    const infos: TensorInfo[] = [];
    for (const { name: tensor, dtype, shape, begin, end } of tensors) {
      const byteLength = end - begin;
      infos.push({ name: tensor, dtype, shape, file: name, byteLength });
      locations.set(tensor, { fd, position: dataStart + begin, byteLength, where: `${path}, tensor ${quote(tensor)}` });
    }
    return { fd, tensors: infos, locations, metadata };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Opens every shard of the index into `files` (the caller closes them) and checks that both agree. */
function openShards(folder: ModelFolder, files: WeightFile[]): void {
  const where = join(folder.path, weightIndexFile);
  const text = folder.readText(weightIndexFile, maxIndexLength);
  if (text === null) throw noWeights(folder);
  const index = parseWeightIndex(text, where);
  const holder = new Map<string, string>();
  for (const shard of [...new Set(index.values())].sort()) {
    const file = openWeightFile(folder, shard);
    files.push(file);
    for (const { name } of file.tensors) {
      const other = holder.get(name);
      const at = `${join(folder.path, shard)}, tensor ${quote(name)}`;
      const next = "download the shards and the index again, all from one revision of the model";
      if (other !== undefined) {
        throw new CheckpointError({ what: `the tensor is also in ${other}`, where: at, next });
      }
      if (index.get(name) !== shard) {
        const place = index.get(name);
        const what = place === undefined ? "the index doesn't list this tensor" : `the index places it in ${place}`;
        throw new CheckpointError({ what, where: at, why: "shards and index don't belong together", next });
      }
      holder.set(name, shard);
    }
  }
  for (const [name, shard] of index) {
    if (holder.has(name)) continue;
    throw new CheckpointError({
      what: "the index lists this tensor but the shard doesn't hold it",
      where: `${join(folder.path, shard)}, tensor ${quote(name)}`,
      next: "download the shards and the index again, all from one revision of the model",
    });
  }
}

function noWeights(folder: ModelFolder): CheckpointError {
  const names = folder.list();
  const adapter = names.includes("adapter_config.json") ? foreignFolder(folder) : null;
  if (adapter !== null) {
    return new CheckpointError({
      ...adapter,
      why: "only its own weights are here, not those of a model",
      where: folder.path,
    });
  }
  const convertible = names.filter((name) => /\.(?:bin|pth?|h5|msgpack)$/.test(name));
  const exported = names.filter((name) => name === "onnx" || /\.(?:gguf|onnx|tflite|npz)$/.test(name));
  const others = names.filter((name) => name.endsWith(".safetensors"));
  const found = [...others, ...convertible, ...exported].slice(0, 5);
  let next = "give a model folder as on the Hugging Face Hub, completely downloaded";
  if (others.length === 0 && convertible.length > 0) {
    next = "convert the weights: load the model in Python transformers and save_pretrained(folder)";
  } else if (others.length === 0 && exported.length > 0) {
    next = "give the folder of the original model: what was exported for a runtime can't be quantized again";
  }
  return new CheckpointError({
    what: `neither ${singleWeightFile} nor ${weightIndexFile} in this folder`,
    where: folder.path,
    ...(found.length > 0 && { why: `found only ${found.map(quote).join(", ")}` }),
    next,
  });
}

function allocate(byteLength: number, where: string): Uint8Array<ArrayBuffer> {
  try {
    // Not zero-filled: readFully and read fill all of it or throw.
    return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer);
  } catch (cause) {
    throw new EnvironmentError({
      what: `no buffer of ${byteLength} bytes`,
      where,
      why: "out of memory, or over this Node's limit for one buffer",
      next: "free memory, or read the tensor in parts",
      cause,
    });
  }
}
