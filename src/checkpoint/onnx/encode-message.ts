import type { Field, MessageOf, Schema } from "./schema.js";

/**
 * A message in protobuf's wire format: for each field that is present, in the order of the schema, a tag
 * (`number * 8 + wire type`) and its value. Repeated fields are written one by one, as proto2 does.
 */
export function encodeMessage<S extends Schema>(schema: S, message: MessageOf<S>): Uint8Array {
  const out = new Bytes();
  for (const [name, field] of Object.entries(schema)) {
    const value: unknown = message[name];
    if (value === undefined) continue;
    for (const each of field.repeated === true ? (value as readonly unknown[]) : [value]) writeField(out, field, each);
  }
  return out.take();
}

function writeField(out: Bytes, { number, kind }: Field, value: unknown): void {
  if (kind === "int" || kind === "long") {
    out.varint(number * 8);
    out.varint(value as number);
  } else if (kind === "float") {
    out.varint(number * 8 + 5);
    out.float(value as number);
  } else if (kind === "double") {
    out.varint(number * 8 + 1);
    out.double(value as number);
  } else {
    const bytes =
      kind === "string"
        ? new TextEncoder().encode(value as string)
        : kind === "bytes"
          ? (value as Uint8Array)
          : encodeMessage(kind, value as MessageOf<Schema>);
    out.varint(number * 8 + 2);
    out.varint(bytes.length);
    out.append(bytes);
  }
}

/** A byte array that grows. */
class Bytes {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** Seven bits a byte, lowest first; negative numbers are 64-bit two's complement. */
  varint(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    this.#reserve(10);
    while (rest >= 0x80n) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  float(value: number): void {
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  double(value: number): void {
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
