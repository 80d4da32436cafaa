import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { gitLfsDetails, gitLfsPointer } from "../../checkpoint/git-lfs-pointer.js";
import { FormatError } from "../../errors.js";
import { dequantize } from "./blocks/decode.js";
import type { TensorEntry } from "./file/header.js";
import { HeaderCursor, MINIMUM_BYTES } from "./file/header-cursor.js";
import {
  alignUp,
  byteLengthOf,
  GGUF_ALIGNMENT,
  GGUF_MAGIC,
  GGUF_MAX_DIMENSIONS,
  GGUF_NAME_BYTES,
  GGUF_VERSION,
  type GgufScalar,
  type GgufScalarType,
  type GgufType,
  type GgufValue,
  type GgufValueType,
  TENSOR_TYPES,
  VALUE_TYPES,
} from "./file/layout.js";

/** Limits against hostile or damaged files; real files stay far below them. */
export const MAX_KEYS = 2 ** 16;
export const MAX_TENSORS = 2 ** 17;
export const MAX_ARRAY_ELEMENTS = 2 ** 24;

/** One tensor of a GGUF file: `shape` as `[out, in]`, `offset` from the start of the data section. */
export interface GgufTensor extends TensorEntry {
  readonly byteLength: number;
}

const TYPE_BY_ID = new Map<number, GgufType>(
  Object.entries(TENSOR_TYPES).map(([name, { id }]) => [id, name as GgufType]),
);
const VALUE_TYPE_BY_ID = new Map(
  Object.entries(VALUE_TYPES).map(([name, id]) => [id as number, name as GgufValueType]),
);

/**
 * An open GGUF v3 file. The header is checked in full when it is opened (counts, lengths, types, offsets,
 * overlaps, against the file's size); tensors are read on demand. Throws FormatErrors.
 */
export class GgufFile implements Disposable {
  readonly file: string;
  readonly byteLength: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #descriptor: number;
  readonly #dataStart: number;
  #open = true;

  static open(file: string): GgufFile {
    let descriptor: number;
    try {
      descriptor = openSync(file, "r");
    } catch (error) {
      throw fileSystemError(error, "the GGUF file can't be opened", file);
    }
    try {
      const meant = gitLfsPointer(descriptor, fstatSync(descriptor).size);
      if (meant !== null) throw new FormatError(gitLfsDetails(file, meant));
      return new GgufFile(file, descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  private constructor(file: string, descriptor: number) {
    this.file = file;
    this.#descriptor = descriptor;
    this.byteLength = fstatSync(descriptor).size;
    const cursor = new HeaderCursor(descriptor, file, this.byteLength);
    if (cursor.remaining < 24 || cursor.u32() !== GGUF_MAGIC) cursor.fail("this is not a GGUF file");
    const version = cursor.u32();
    if (version !== GGUF_VERSION) cursor.fail(`GGUF version ${version} instead of ${GGUF_VERSION}`);
    const tensorCount = cursor.count(MAX_TENSORS, "tensor count");
    const keyCount = cursor.count(MAX_KEYS, "key count");
    this.metadata = readMetadata(cursor, keyCount);
    const alignment = alignmentOf(cursor, this.metadata);
    const tensors = Array.from({ length: tensorCount }, () => readTensorEntry(cursor, alignment));
    this.#dataStart = alignUp(cursor.position, alignment);
    this.tensors = checkPlacement(cursor, tensors, this.byteLength - this.#dataStart);
  }

  /** The stored bytes of a tensor. */
  readBytes(name: string): Uint8Array {
    const tensor = this.#find(name);
    const bytes = new Uint8Array(tensor.byteLength);
    let filled = 0;
    while (filled < bytes.length) {
      const at = this.#dataStart + tensor.offset + filled;
      const read = readSync(this.#descriptor, bytes, filled, bytes.length - filled, at);
      if (read === 0) {
        throw new FormatError({
          what: "the file ends inside the tensor",
          where: `${this.file}, ${name}`,
          next: "write or download the file again",
        });
      }
      filled += read;
    }
    return bytes;
  }

  /** The fp32 values of a tensor, row by row. */
  dequantize(name: string): Float32Array {
    return dequantize(this.#find(name).type, this.readBytes(name));
  }

  close(): void {
    if (this.#open) closeSync(this.#descriptor);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #find(name: string): GgufTensor {
    const tensor = this.tensors.get(name);
    if (tensor !== undefined) return tensor;
    throw new FormatError({
      what: `no tensor named ${name}`,
      where: this.file,
      next: `list the tensors with: crossblock inspect ${shellWord(this.file)}`,
    });
  }
}

function readMetadata(cursor: HeaderCursor, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = cursor.string(2 ** 16);
    if (metadata.has(key)) cursor.fail(`key ${key} appears twice`);
    metadata.set(key, readValue(cursor, key));
  }
  return metadata;
}

function readValue(cursor: HeaderCursor, key: string): GgufValue {
  const type = valueType(cursor, key);
  if (type !== "array") return { type, value: cursor.scalar(type) } as GgufValue;
  const element = valueType(cursor, key);
  if (element === "array") return cursor.fail(`key ${key} holds an array of arrays, which no reader of GGUF v3 takes`);
  const fitting = Math.floor(Math.max(0, cursor.remaining - 8) / MINIMUM_BYTES[element]);
  const count = cursor.count(Math.min(MAX_ARRAY_ELEMENTS, fitting), `array length of ${key}`);
  const values: GgufScalar[] = [];
  for (let i = 0; i < count; i++) values.push(cursor.scalar(element as GgufScalarType));
  return { type, element, values };
}

function valueType(cursor: HeaderCursor, key: string): GgufValueType {
  const id = cursor.u32();
  return VALUE_TYPE_BY_ID.get(id) ?? cursor.fail(`key ${key} has the unknown value type ${id}`);
}

function alignmentOf(cursor: HeaderCursor, metadata: ReadonlyMap<string, GgufValue>): number {
  const entry = metadata.get("general.alignment");
  if (entry === undefined) return GGUF_ALIGNMENT;
  const value = entry.type === "u32" ? entry.value : 0;
  if (value < 8 || value > 2 ** 20 || (value & (value - 1)) !== 0) {
    return cursor.fail("general.alignment is not a power of two from 8 up");
  }
  return value;
}

function readTensorEntry(cursor: HeaderCursor, alignment: number): GgufTensor {
  const name = cursor.string(GGUF_NAME_BYTES);
  const dimensions = cursor.u32();
  if (dimensions > GGUF_MAX_DIMENSIONS) cursor.fail(`tensor ${name} has ${dimensions} dimensions`);
  let count = 1;
  const sizes: number[] = [];
  for (let i = 0; i < dimensions; i++) {
    const size = cursor.count(Number.MAX_SAFE_INTEGER, `dimension of ${name}`);
    count *= size;
    if (!Number.isSafeInteger(count)) cursor.fail(`tensor ${name} has more elements than any file could`);
    sizes.push(size);
  }
  const id = cursor.u32();
  const type = TYPE_BY_ID.get(id) ?? cursor.fail(`tensor ${name} has the unknown type ${id}`);
  const { elements } = TENSOR_TYPES[type];
  if ((sizes[0] ?? 1) % elements !== 0) cursor.fail(`rows of ${name} are not a whole number of ${type} blocks`);
  const offset = cursor.count(Number.MAX_SAFE_INTEGER, `offset of ${name}`);
  if (offset % alignment !== 0) cursor.fail(`tensor ${name} starts at ${offset}, not a multiple of ${alignment}`);
  return { name, type, shape: sizes.reverse(), offset, byteLength: byteLengthOf(type, count) };
}

function checkPlacement(
  cursor: HeaderCursor,
  tensors: readonly GgufTensor[],
  dataBytes: number,
): Map<string, GgufTensor> {
  const byName = new Map<string, GgufTensor>();
  let end = 0;
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset)) {
    if (byName.has(tensor.name)) cursor.fail(`tensor ${tensor.name} appears twice`);
    if (tensor.offset < end) cursor.fail(`tensor ${tensor.name} overlaps the one before it`);
    end = tensor.offset + tensor.byteLength;
    if (end > dataBytes) cursor.fail(`tensor ${tensor.name} ends ${end - dataBytes} bytes past the end of the file`);
    byName.set(tensor.name, tensor);
  }
  return byName;
}
