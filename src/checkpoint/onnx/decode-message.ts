import type { Field, MessageOf, Schema } from "./schema.js";
import { WIRE, WireCursor } from "./wire-cursor.js";

/**
 * Reads a message in protobuf's wire format. Fields that the schema doesn't know are skipped, a field that occurs twice
 * has its last value, and repeated numbers may be packed into one field: the rules of protobuf's specification.
 *
 * @param where the file, for errors
 * @throws FormatError for bytes that are no such message
 */
export function decodeMessage<S extends Schema>(schema: S, bytes: Uint8Array, where: string): MessageOf<S> {
  return readMessage(schema, new WireCursor(bytes, where)) as MessageOf<S>;
}

type Mutable = Record<string, unknown>;

function readMessage(schema: Schema, cursor: WireCursor): Mutable {
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

function readField({ kind }: Field, wire: number, cursor: WireCursor): unknown[] {
  if (kind === "int" || kind === "long" || kind === "float" || kind === "double") {
    const { own, read } = NUMBERS[kind];
    if (wire === own) return [read(cursor)];
    if (wire !== WIRE.length) return cursor.fail(`wire type ${wire} for a number`);
    const packed = cursor.nested();
    const values: number[] = [];
    while (packed.remaining > 0) values.push(read(packed));
    return values;
  }
  if (wire !== WIRE.length) return cursor.fail(`wire type ${wire} where a length must be`);
  if (kind === "bytes") return [cursor.bytes()];
  if (kind === "string") return [cursor.text()];
  return [readMessage(kind, cursor.nested())];
}

/** The wire type of a number that stands alone, and how it is read. */
const NUMBERS = {
  int: { own: WIRE.varint, read: (from: WireCursor): number => from.varint() },
  long: { own: WIRE.varint, read: (from: WireCursor): number => from.long() },
  float: { own: WIRE.fourBytes, read: (from: WireCursor): number => from.float() },
  double: { own: WIRE.eightBytes, read: (from: WireCursor): number => from.double() },
} as const;
