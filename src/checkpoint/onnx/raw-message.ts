import { encodeMessage } from "./encode-message.js";
import type { MessageOf, Schema } from "./schema.js";
import { WIRE, WireCursor } from "./wire-cursor.js";

/** One field of a message as it is stored: nothing of it is interpreted, so nothing of it is lost. */
export interface RawField {
  readonly number: number;
  /** The whole field, its tag included. */
  readonly bytes: Uint8Array;
  /** What follows tag and length in a field that has one; else empty. */
  readonly content: Uint8Array;
}

/**
 * The fields of a message in their order, those that no schema knows included. They view `bytes`.
 *
 * @param where the file, for errors
 * @throws FormatError for bytes that are no message
 */
export function rawFields(bytes: Uint8Array, where: string): readonly RawField[] {
  const cursor = new WireCursor(bytes, where);
  const fields: RawField[] = [];
  while (cursor.remaining > 0) {
    const begin = cursor.position;
    const tag = cursor.varint();
    const wire = tag & 7;
    const content = wire === WIRE.length ? cursor.bytes() : new Uint8Array(0);
    if (wire !== WIRE.length) cursor.skip(wire);
    fields.push({ number: Math.floor(tag / 8), bytes: bytes.subarray(begin, cursor.position), content });
  }
  return fields;
}

/** A field that has a length: a text, bytes, or a message. Made of its pieces, which are not copied. */
export function lengthField(number: number, content: Uint8Array | readonly Uint8Array[]): readonly Uint8Array[] {
  const pieces = content instanceof Uint8Array ? [content] : content;
  return [varint(number * 8 + WIRE.length), varint(byteCount(pieces)), ...pieces];
}

/** Fields of a message as bytes, to stand among raw ones. */
export function encodedFields<S extends Schema>(schema: S, message: MessageOf<S>): Uint8Array {
  return encodeMessage(schema, message);
}

/** Bytes of all pieces. */
export function byteCount(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** Pieces one after the other. */
export function joinedBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(byteCount(pieces));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      bytes.push(rest);
      return Uint8Array.from(bytes);
    }
    bytes.push((rest % 128) + 128);
  }
}
