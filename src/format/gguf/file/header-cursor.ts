import { readSync } from "node:fs";
import { clip } from "../../../checkpoint/json/json.js";
import { FormatError } from "../../../errors.js";
import type { GgufScalar, GgufScalarType } from "./layout.js";

/** A string longer than this is damage: the longest real ones are chat templates. */
export const MAX_STRING_BYTES = 2 ** 24;
/** The header is read in pieces of this size. */
const WINDOW_BYTES = 2 ** 20;

/** Smallest number of bytes that one value of a type takes: what bounds a count against the file's size. */
export const MINIMUM_BYTES: Readonly<Record<GgufScalarType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  u64: 8,
  i64: 8,
  f64: 8,
};

/** Reads GGUF's header values one after the other; never past the end of the file, whatever the counts in it say. */
export class HeaderCursor {
  readonly #descriptor: number;
  readonly #file: string;
  readonly #size: number;
  #window = Buffer.alloc(0);
  #windowStart = 0;
  #position = 0;

  constructor(descriptor: number, file: string, size: number) {
    this.#descriptor = descriptor;
    this.#file = file;
    this.#size = size;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#size - this.#position;
  }

  fail(what: string): never {
    throw new FormatError({
      // Keys and names come from the file, and terminals obey some characters.
      what: clip(`${what} (byte ${this.#position})`),
      where: this.#file,
      next: "check that this is a complete GGUF v3 file, and write or download it again",
    });
  }

  u32(): number {
    return this.#take(4).readUInt32LE();
  }

  /** A u64 that counts or locates something, so at most `limit`. */
  count(limit: number, what: string): number {
    const value = this.#take(8).readBigUInt64LE();
    if (value > BigInt(limit)) this.fail(`${what} ${value} is more than ${limit}`);
    return Number(value);
  }

  string(limit: number = MAX_STRING_BYTES): string {
    const length = this.count(Math.min(limit, Math.max(0, this.remaining - 8)), "string length");
    return this.#take(length).toString("utf8");
  }

  scalar(type: GgufScalarType): GgufScalar {
    switch (type) {
      case "u8":
        return this.#take(1).readUInt8();
      case "i8":
        return this.#take(1).readInt8();
      case "u16":
        return this.#take(2).readUInt16LE();
      case "i16":
        return this.#take(2).readInt16LE();
      case "u32":
        return this.u32();
      case "i32":
        return this.#take(4).readInt32LE();
      case "f32":
        return this.#take(4).readFloatLE();
      case "f64":
        return this.#take(8).readDoubleLE();
      case "u64":
        return this.#take(8).readBigUInt64LE();
      case "i64":
        return this.#take(8).readBigInt64LE();
      case "string":
        return this.string();
      case "bool": {
        const byte = this.#take(1).readUInt8();
        if (byte > 1) this.fail(`boolean with the value ${byte}`);
        return byte === 1;
      }
    }
  }

  #take(count: number): Buffer {
    if (count > this.remaining) this.fail(`the header needs ${count} more bytes, the file has ${this.remaining}`);
    if (this.#position + count > this.#windowStart + this.#window.length) this.#fill(count);
    const start = this.#position - this.#windowStart;
    this.#position += count;
    return this.#window.subarray(start, start + count);
  }

  #fill(count: number): void {
    const length = Math.min(this.remaining, Math.max(count, WINDOW_BYTES));
    const window = Buffer.alloc(length);
    let filled = 0;
    while (filled < length) {
      const read = readSync(this.#descriptor, window, filled, length - filled, this.#position + filled);
      if (read === 0) this.fail("the file became shorter while it was read");
      filled += read;
    }
    this.#window = window;
    this.#windowStart = this.#position;
  }
}
