import { FormatError } from "../../errors.js";

/** Wire types of protobuf; 3 and 4 (groups) are long obsolete. */
export const WIRE = { varint: 0, eightBytes: 1, length: 2, fourBytes: 5 } as const;

/** Reads protobuf's wire format from the front of a message. Throws FormatErrors where the bytes are none. */
export class WireCursor {
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

  /** Bytes that are read. */
  get position(): number {
    return this.#at;
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

  nested(): WireCursor {
    return new WireCursor(this.bytes(), this.where);
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
    if (wire === WIRE.varint) this.#bits();
    else if (wire === WIRE.length) this.bytes();
    else if (wire === WIRE.eightBytes || wire === WIRE.fourBytes) {
      const width = wire === WIRE.eightBytes ? 8 : 4;
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
