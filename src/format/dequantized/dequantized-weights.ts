import type { ReadBuffer } from "../../checkpoint/read-buffer.js";
import type { FolderWeights, TensorInfo, WeightEncoding } from "../../checkpoint/tensor-reader.js";
import { toHalfBytes } from "../bits/float-bytes.js";
import { type EncodedWeight, malformed, rowsOf } from "./encoded-weight.js";

/** Floating point that decoded weights are read as. */
export type DecodedType = "BF16" | "F16" | "F32";

const bytesEach: Readonly<Record<DecodedType, number>> = { BF16: 2, F16: 2, F32: 4 };

/** What a module's codes may have beside them for inputs and outputs that are quantized at run time. */
const runtimeScales = [
  "input_scale",
  "input_scale_ub",
  "input_zero_point",
  "activation_scale",
  "output_scale",
] as const;

interface Section {
  readonly weight: EncodedWeight;
  readonly first: number;
  readonly bytes: Uint8Array;
}

/**
 * A checkpoint of quantized weights as one in floating point: every code is a number of `type` where it is read, and scales are
 * not there. Sections of rows are decoded one at a time, when they are read; the last one is kept.
 */
export class DequantizedWeights implements FolderWeights, Disposable {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly encoding: WeightEncoding;
  readonly #weights: ReadonlyMap<string, EncodedWeight>;
  #last: Section | null = null;

  /**
   * @param name of the encoding, for people
   * @throws CheckpointError where a weight is there twice
   */
  constructor(
    private readonly stored: FolderWeights,
    weights: readonly EncodedWeight[],
    private readonly type: DecodedType,
    name: string,
  ) {
    this.#weights = new Map(weights.map((weight) => [weight.name, weight]));
    const parts = new Set(weights.flatMap((weight) => weight.parts));
    const scales = new Set(
      weights.flatMap((weight) => runtimeScales.map((scale) => `${weight.name.replace(/\.?weight$/, "")}.${scale}`)),
    );
    const dropped = [...stored.tensors.keys()].filter((tensor) => scales.has(tensor));
    const infos = new Map<string, TensorInfo>();
    const made = new Map(weights.map((weight) => [weight.parts[0], weight]));
    for (const info of stored.tensors.values()) {
      const weight = made.get(info.name);
      if (weight === undefined && (parts.has(info.name) || scales.has(info.name))) continue;
      const own = weight === undefined ? info : this.#infoOf(weight, info);
      if (infos.has(own.name)) throw malformed(stored, own.name, "is there twice, as it is and in codes");
      infos.set(own.name, own);
    }
    this.tensors = infos;
    this.encoding = { name, dtype: type, weights: weights.length, unused: dropped };
  }

  get folder(): string {
    return this.stored.folder;
  }

  async read(name: string): Promise<Uint8Array> {
    return this.#weights.has(name) ? this.readSync(name) : this.stored.read(name);
  }

  readSync(name: string, buffer?: ReadBuffer): Uint8Array {
    const weight = this.#weights.get(name);
    if (weight === undefined) return this.stored.readSync(name, buffer);
    const { byteLength } = this.tensors.get(name) as TensorInfo;
    const bytes = buffer?.take(byteLength, (length) => new Uint8Array(length)) ?? new Uint8Array(byteLength);
    this.#fill(weight, 0, bytes);
    return bytes;
  }

  readRangeSync(name: string, begin: number, end: number): Uint8Array {
    const weight = this.#weights.get(name);
    if (weight === undefined) return this.stored.readRangeSync(name, begin, end);
    const bytes = new Uint8Array(end - begin);
    this.#fill(weight, begin, bytes);
    return bytes;
  }

  willRead(names: Iterable<string>): void {
    this.stored.willRead([...names].flatMap((name) => this.#weights.get(name)?.parts ?? [name]));
  }

  close(): void {
    this.#last = null;
    this.stored.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #infoOf({ name, shape }: EncodedWeight, { file }: TensorInfo): TensorInfo {
    const byteLength = shape.reduce((product, size) => product * size, bytesEach[this.type]);
    return { name, dtype: this.type, shape, file, byteLength };
  }

  /** Puts the bytes of a weight from `begin` on into `bytes`, section after section. */
  #fill(weight: EncodedWeight, begin: number, bytes: Uint8Array): void {
    const { rows, columns } = rowsOf(weight.shape);
    const sectionBytes = weight.sectionRows * columns * bytesEach[this.type];
    for (let done = 0; done < bytes.length; ) {
      const at = begin + done;
      const first = Math.floor(at / sectionBytes) * weight.sectionRows;
      const section = this.#section(weight, first, Math.min(rows, first + weight.sectionRows));
      const from = at % sectionBytes;
      const piece = section.subarray(from, Math.min(section.length, from + bytes.length - done));
      bytes.set(piece, done);
      done += piece.length;
    }
  }

  #section(weight: EncodedWeight, first: number, end: number): Uint8Array {
    const last = this.#last;
    if (last !== null && last.weight === weight && last.first === first) return last.bytes;
    this.#last = null;
    const bytes = bytesAs(weight.decode(first, end), this.type);
    this.#last = { weight, first, bytes };
    return bytes;
  }
}

/** Little-endian, rounded to nearest even. */
function bytesAs(values: Float32Array, type: DecodedType): Uint8Array {
  if (type === "F16") return toHalfBytes(values);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (type === "F32") return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  const bits = new Uint16Array(words.length);
  for (let i = 0; i < bits.length; i++) {
    const word = words[i] ?? 0;
    // What is no number stays so: rounding would carry some of them into the sign.
    bits[i] = (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(bits.buffer);
}
