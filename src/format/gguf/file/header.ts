import { FormatError } from "../../../errors.js";
import {
  alignUp,
  GGUF_MAGIC,
  GGUF_NAME_BYTES,
  GGUF_VERSION,
  type GgufScalar,
  type GgufScalarType,
  type GgufType,
  type GgufValue,
  TENSOR_TYPES,
  VALUE_TYPES,
} from "./layout.js";

/** What the header says of one tensor. */
export interface TensorEntry {
  readonly name: string;
  readonly type: GgufType;
  /** `[out, in]`, as in the checkpoint; the file lists the dimensions the other way round. */
  readonly shape: readonly number[];
  /** From the start of the data section, a multiple of the alignment. */
  readonly offset: number;
}

/** The bytes of the header, padded so that the data section may follow at once. */
export function encodeHeader(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly TensorEntry[]): Uint8Array {
  const out = new HeaderBytes();
  out.u32(GGUF_MAGIC);
  out.u32(GGUF_VERSION);
  out.u64(BigInt(tensors.length));
  out.u64(BigInt(metadata.size));
  for (const [key, value] of metadata) {
    out.string(key);
    out.u32(VALUE_TYPES[value.type]);
    if (value.type !== "array") {
      out.scalar(value.type, value.value);
      continue;
    }
    out.u32(VALUE_TYPES[value.element]);
    out.u64(BigInt(value.values.length));
    for (const element of value.values) out.scalar(value.element, element);
  }
  for (const tensor of tensors) {
    if (Buffer.byteLength(tensor.name) > GGUF_NAME_BYTES) {
      throw new FormatError({
        what: `the tensor name is longer than ${GGUF_NAME_BYTES} bytes`,
        where: tensor.name,
        next: "export to another format: llama.cpp can't load longer names",
      });
    }
    out.string(tensor.name);
    out.u32(tensor.shape.length);
    for (const size of [...tensor.shape].reverse()) out.u64(BigInt(size));
    out.u32(TENSOR_TYPES[tensor.type].id);
    out.u64(BigInt(tensor.offset));
  }
  return out.padded();
}

interface NumberWriter {
  readonly bytes: number;
  readonly put: (view: DataView, at: number, value: GgufScalar) => void;
}

const NUMBERS: Readonly<Record<Exclude<GgufScalarType, "string">, NumberWriter>> = {
  u8: { bytes: 1, put: (view, at, value) => view.setUint8(at, Number(value)) },
  bool: { bytes: 1, put: (view, at, value) => view.setUint8(at, Number(value)) },
  i8: { bytes: 1, put: (view, at, value) => view.setInt8(at, Number(value)) },
  u16: { bytes: 2, put: (view, at, value) => view.setUint16(at, Number(value), true) },
  i16: { bytes: 2, put: (view, at, value) => view.setInt16(at, Number(value), true) },
  u32: { bytes: 4, put: (view, at, value) => view.setUint32(at, Number(value), true) },
  i32: { bytes: 4, put: (view, at, value) => view.setInt32(at, Number(value), true) },
  f32: { bytes: 4, put: (view, at, value) => view.setFloat32(at, Number(value), true) },
  f64: { bytes: 8, put: (view, at, value) => view.setFloat64(at, Number(value), true) },
  u64: { bytes: 8, put: (view, at, value) => view.setBigUint64(at, BigInt(value), true) },
  i64: { bytes: 8, put: (view, at, value) => view.setBigInt64(at, BigInt(value), true) },
};

/** A byte string that grows, with GGUF's writing methods. */
class HeaderBytes {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  u32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: bigint): void {
    const at = this.#take(8);
    this.#view.setBigUint64(at, value, true);
  }

  string(text: string): void {
    const length = Buffer.byteLength(text);
    this.u64(BigInt(length));
    const at = this.#take(length);
    Buffer.from(this.#bytes.buffer).write(text, at, "utf8");
  }

  scalar(type: GgufScalarType, value: GgufScalar): void {
    if (type === "string") {
      this.string(String(value));
      return;
    }
    const { bytes, put } = NUMBERS[type];
    const at = this.#take(bytes);
    put(this.#view, at, value);
  }

  padded(): Uint8Array {
    this.#take(alignUp(this.#length) - this.#length);
    return this.#bytes.subarray(0, this.#length);
  }

  /** May replace the view: ask for the place first, and for the view after that. */
  #take(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}
