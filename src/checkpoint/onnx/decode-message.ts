import { FormatError } from "../../errors.js";
import type { Field, MessageOf, Schema } from "./schema.js";

/** Wire types of protobuf; 3 and 4 (groups) are long obsolete. */
const VARINT = 0;
const EIGHT_BYTES = 1;
const LENGTH = 2;
const FOUR_BYTES = 5;

/**
 * Reads a message in protobuf's wire format. Fields that the schema doesn't know are skipped, a field that occurs twice
 * has its last value, and repeated numbers may be packed into one field: the rules of protobuf's specification.
 *
 * @param where the file, for errors
 * @throws FormatError for bytes that are no such message
 */
export function decodeMessage<S extends Schema>(schema: S, bytes: Uint8Array, where: string): MessageOf<S> {
  return readMessage(schema, new Cursor(bytes, where)) as MessageOf<S>;
}

type Mutable = Record<string, unknown>;

function readMessage(schema: Schema, cursor: Cursor): Mutable {
  const fields = new Map(Object.entries(schema).map(([name, field]) => [field.number, { name, field }]));
  const message: Mutable = {};
  while (cursor.remaining > 0) {
    const tag = cursor.varint();
    const wire = tag & 7;
    const known = fields.get(Math.floor(tag / 8));
    if (known === undefined) {
      cursor.skip(wire);
      continue;
    }
    const { name, field } = known;
    const values = readField(field, wire, cursor);
    if (field.repeated !== true) {
      if (values.length > 0) message[name] = values.at(-1);
      continue;
    }
    const list = (message[name] ?? []) as unknown[];
    for (const value of values) list.push(value);
    message[name] = list;
  }
  return message;
}

function readField({ kind }: Field, wire: number, cursor: Cursor): unknown[] {
  if (kind === "int" || kind === "long" || kind === "float" || kind === "double") {
    const { own, read } = NUMBERS[kind];
    if (wire === own) return [read(cursor)];
    if (wire !== LENGTH) return cursor.fail(`wire type ${wire} for a number`);
    const packed = cursor.nested();
    const values: number[] = [];
    while (packed.remaining > 0) values.push(read(packed));
    return values;
  }
  if (wire !== LENGTH) return cursor.fail(`wire type ${wire} where a length must be`);
  if (kind === "bytes") return [cursor.bytes()];
  if (kind === "string") return [cursor.text()];
  return [readMessage(kind, cursor.nested())];
}

/** The wire type of a number that stands alone, and how it is read. */
const NUMBERS = {
  int: { own: VARINT, read: (from: Cursor): number => from.varint() },
  long: { own: VARINT, read: (from: Cursor): number => from.long() },
  float: { own: FOUR_BYTES, read: (from: Cursor): number => from.float() },
  double: { own: EIGHT_BYTES, read: (from: Cursor): number => from.double() },
} as const;

class Cursor {
  #at = 0;
  readonly #view: DataView;

  constructor(
    readonly all: Uint8Array,
    readonly where: string,
  ) {
    this.#view = new DataView(all.buffer, all.byteOffset, all.byteLength);
  }

  get remaining(): number {
    return this.all.length - this.#at;
  }

  varint(): number {
    const value = Number(this.#bits());
    return Number.isSafeInteger(value) ? value : this.fail("a number beyond 2^53");
  }

  /** A number that stands for one beyond every size where it is larger than is exact. */
  long(): number {
    const value = Number(this.#bits());
    return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value));
  }

  #bits(): bigint {
    // Most numbers are small, and one byte needs no arithmetic of large ones.
    const first = this.all[this.#at];
    if (first !== undefined && first < 0x80) {
      this.#at++;
      return BigInt(first);
    }
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.all[this.#at++];
      if (byte === undefined) return this.fail("it ends inside a number");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    return this.fail("a number of more than ten bytes");
  }

  float(): number {
    this.#need(4);
    this.#at += 4;
    return this.#view.getFloat32(this.#at - 4, true);
  }

  double(): number {
    this.#need(8);
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  /** A view of the next bytes, as many as the length before them says. */
  bytes(): Uint8Array {
    const length = this.varint();
    this.#need(length);
    this.#at += length;
    return this.all.subarray(this.#at - length, this.#at);
  }

  nested(): Cursor {
    return new Cursor(this.bytes(), this.where);
  }

  text(): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes());
    } catch (error) {
      if (error instanceof FormatError) throw error;
      return this.fail("a name that is no UTF-8");
    }
  }

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === LENGTH) this.bytes();
    else if (wire === EIGHT_BYTES || wire === FOUR_BYTES) {
      const width = wire === EIGHT_BYTES ? 8 : 4;
      this.#need(width);
      this.#at += width;
    } else this.fail(`the wire type ${wire}`);
  }

  fail(what: string): never {
    throw new FormatError({
      what: `this is not an ONNX file: ${what}`,
      where: this.where,
      next: "write or download the file again",
    });
  }

  #need(count: number): void {
    if (count < 0 || count > this.remaining) this.fail("it ends inside a field");
  }
}
