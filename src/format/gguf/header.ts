import { FormatError } from "../../errors.js";
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

/** A byte string that grows, with GGUF's writing methods. */
class HeaderBytes {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  u32(value: number): void {
    this.#view.setUint32(this.#take(4), value, true);
  }

  u64(value: bigint): void {
    this.#view.setBigUint64(this.#take(8), value, true);
  }

  string(text: string): void {
    const length = Buffer.byteLength(text);
    this.u64(BigInt(length));
    const at = this.#take(length);
    Buffer.from(this.#bytes.buffer).write(text, at, "utf8");
  }

  scalar(type: GgufScalarType, value: GgufScalar): void {
    if (type === "string") return this.string(String(value));
    if (type === "u64") return this.u64(BigInt(value));
    if (type === "i64") return this.#view.setBigInt64(this.#take(8), BigInt(value), true);
    const number = Number(value);
    switch (type) {
      case "u8":
      case "bool":
        return this.#view.setUint8(this.#take(1), number);
      case "i8":
        return this.#view.setInt8(this.#take(1), number);
      case "u16":
        return this.#view.setUint16(this.#take(2), number, true);
      case "i16":
        return this.#view.setInt16(this.#take(2), number, true);
      case "u32":
        return this.#view.setUint32(this.#take(4), number, true);
      case "i32":
        return this.#view.setInt32(this.#take(4), number, true);
      case "f32":
        return this.#view.setFloat32(this.#take(4), number, true);
      case "f64":
        return this.#view.setFloat64(this.#take(8), number, true);
    }
  }

  padded(): Uint8Array {
    this.#take(alignUp(this.#length) - this.#length);
    return this.#bytes.subarray(0, this.#length);
  }

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
