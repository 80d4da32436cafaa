import { CheckpointError } from "../../errors.js";
import { byteLengthOf, isSafetensorsDType, type SafetensorsDType, safetensorsDTypes } from "../dtype.js";
import { endOfString } from "../json/end-of-string.js";
import { quote } from "../json/json.js";

/** One tensor as the header describes it; `begin` and `end` count bytes from the start of the data section. */
export interface HeaderTensor {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** In ascending order of offset. */
  readonly tensors: readonly HeaderTensor[];
}

/** Largest header that is read, as in the reference implementation. */
export const maxHeaderLength = 100_000_000;

/** PyTorch's own limit on dimensions. */
const maxRank = 64;

const next = "download or export this file again";

/**
 * Checks the first eight bytes of a safetensors file (u64, little-endian: length of the JSON header).
 * @param fileSize bytes of the whole file
 * @throws CheckpointError when the file can't hold such a header
 */
export function checkHeaderLength(prefix: Uint8Array, fileSize: number, file: string): number {
  const fail = (what: string, why?: string): never => {
    throw new CheckpointError({ what, where: file, ...(why && { why }), next });
  };
  if (fileSize < 8 || prefix.byteLength < 8) fail(`${fileSize} bytes are too few for a safetensors file`, "truncated");
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeaderLength)) {
    fail(`header length ${length} is over the limit of ${maxHeaderLength} bytes`, "not a safetensors file");
  }
  if (length > BigInt(fileSize - 8)) {
    fail(`header of ${length} bytes in a file of ${fileSize} bytes`, "the file is truncated");
  }
  if (length < 2n) fail(`header of ${length} bytes can't hold a JSON object`, "not a safetensors file");
  return Number(length);
}

/**
 * Parses and checks a safetensors header. The grammar is fixed (one object of tensors, each with `dtype`, `shape` and
 * `data_offsets`), so it is read by a parser of its own: nothing that is not a header gets built in memory, and a
 * duplicate name is seen instead of being dropped.
 *
 * Every byte of the data section belongs to exactly one tensor: overlaps, holes and bytes left over are refused,
 * as the reference implementation does, because files with them can hide or alias content.
 * @param bytes the JSON header, padding included
 * @param dataLength bytes that follow the header in the file
 * @throws CheckpointError naming the file and the tensor
 */
export function parseSafetensorsHeader(bytes: Uint8Array, dataLength: number, file: string): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new CheckpointError({ what: "the header is not valid UTF-8", where: file, next, cause });
  }
  const { metadata, tensors } = new HeaderParser(text, file).parse();
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(tensors, dataLength, file);
  return { metadata, tensors };
}

function checkCoverage(tensors: readonly HeaderTensor[], dataLength: number, file: string): void {
  const fail = (name: string | undefined, what: string, why?: string): never => {
    const where = name === undefined ? file : `${file}, tensor ${quote(name)}`;
    throw new CheckpointError({ what, where, ...(why && { why }), next });
  };
  let previous: HeaderTensor | undefined;
  for (const tensor of tensors) {
    const { name, begin, end } = tensor;
    if (end > dataLength) {
      fail(name, `its data ends at byte ${end} of ${dataLength}`, "the file is truncated or its header is wrong");
    }
    const expected = previous?.end ?? 0;
    if (begin < expected) {
      fail(name, `its data overlaps that of tensor ${quote(previous?.name ?? "")}`, "corrupt header");
    }
    if (begin > expected) fail(name, `${begin - expected} bytes before its data belong to no tensor`, "corrupt header");
    previous = tensor;
  }
  const covered = previous?.end ?? 0;
  if (covered < dataLength) {
    fail(undefined, `${dataLength - covered} bytes at the end belong to no tensor`, "the header doesn't fit the file");
  }
}

class HeaderParser {
  readonly #text: string;
  readonly #file: string;
  #at = 0;
  /** The tensor being read, for messages. */
  #tensor: string | undefined;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  parse(): { metadata: Map<string, string>; tensors: HeaderTensor[] } {
    const metadata = new Map<string, string>();
    const tensors: HeaderTensor[] = [];
    // The format wants `{` as the first byte: the JSON may be padded behind, not in front.
    if (!this.#text.startsWith("{")) this.#fail("the header doesn't start with {", "not a safetensors file");
    this.#object((name) => {
      if (name === "__metadata__") {
        this.#object((key) => {
          metadata.set(key, this.#string());
        });
        return;
      }
      this.#tensor = name;
      tensors.push(this.#readTensor(name));
      this.#tensor = undefined;
    });
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail(`text after the JSON header at character ${this.#at}`);
    return { metadata, tensors };
  }

  #readTensor(name: string): HeaderTensor {
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.#object((key) => {
      if (key === "dtype") dtype = this.#string();
      else if (key === "shape") shape = this.#integers(key, maxRank);
      else if (key === "data_offsets") offsets = this.#integers(key, 2);
      else this.#fail(`unknown key ${quote(key)}`);
    });
    if (dtype === undefined) return this.#fail("dtype is missing");
    if (shape === undefined) return this.#fail("shape is missing");
    if (offsets === undefined) return this.#fail("data_offsets is missing");
    if (!isSafetensorsDType(dtype)) {
      return this.#fail(`unknown dtype ${quote(dtype)}`, `known: ${safetensorsDTypes.join(" ")}`);
    }
    const [begin, end] = offsets;
    if (begin === undefined || end === undefined) return this.#fail("data_offsets needs two numbers");
    if (begin > end) return this.#fail(`data_offsets [${begin}, ${end}] run backwards`);
    const expected = byteLengthOf(dtype, shape);
    const described = `${dtype} [${shape.join(", ")}]`;
    if (expected === null) return this.#fail(`${described} is not a whole, exact number of bytes`);
    if (expected !== end - begin) {
      return this.#fail(`${described} takes ${expected} bytes but its data_offsets hold ${end - begin}`);
    }
    return { name, dtype, shape, begin, end };
  }

  #object(onKey: (key: string) => void): void {
    const seen = new Set<string>();
    this.#expect("{");
    if (this.#accept("}")) return;
    do {
      const key = this.#string();
      if (seen.has(key)) this.#fail(`the name ${quote(key)} occurs twice`);
      seen.add(key);
      this.#expect(":");
      onKey(key);
    } while (this.#accept(","));
    this.#expect("}");
  }

  #integers(key: string, limit: number): number[] {
    const values: number[] = [];
    this.#expect("[");
    if (this.#accept("]")) return values;
    do {
      this.#skipSpace();
      const token = /[-+.\w]*/y;
      token.lastIndex = this.#at;
      const literal = token.exec(this.#text)?.[0] ?? "";
      const value = Number(literal);
      if (!/^(?:0|[1-9]\d{0,15})$/.test(literal) || !Number.isSafeInteger(value)) {
        this.#fail(`${key} holds ${quote(literal.slice(0, 24))}, not a non-negative exact integer`);
      }
      if (values.length === limit) this.#fail(`${key} holds more than ${limit} numbers`);
      values.push(value);
      this.#at += literal.length;
    } while (this.#accept(","));
    this.#expect("]");
    return values;
  }

  #string(): string {
    this.#skipSpace();
    if (this.#text[this.#at] !== '"') this.#fail(`expected a string at character ${this.#at} of the header`);
    const end = endOfString(this.#text, this.#at);
    let value: unknown;
    try {
      value = JSON.parse(this.#text.slice(this.#at, end));
    } catch {
      return this.#fail(`invalid string at character ${this.#at} of the header`);
    }
    if (typeof value !== "string" || /\p{Surrogate}/u.test(value)) {
      return this.#fail(`string at character ${this.#at} of the header is not valid Unicode`);
    }
    this.#at = end;
    return value;
  }

  #skipSpace(): void {
    while (" \t\n\r".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #accept(char: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #expect(char: string): void {
    if (!this.#accept(char)) this.#fail(`expected ${char} at character ${this.#at} of the header`);
  }

  #fail(what: string, why?: string): never {
    const where = this.#tensor === undefined ? this.#file : `${this.#file}, tensor ${quote(this.#tensor)}`;
    throw new CheckpointError({ what, where, ...(why && { why }), next });
  }
}
